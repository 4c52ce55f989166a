#!/usr/bin/env python3
"""Writes src/text/unicode_table.c out of the Unicode data files (Debian package unicode-data, 15.0).

Three consumers need properties of three Unicode versions, so each code point gets one record:

- `wb`, EXT_PICT: word segmentation (UAX #29), the version of the data files;
- `std`, STD_*: Lucene's StandardTokenizer, which is fixed to Unicode 12.1;
- HF_*: what the Hugging Face tokenizers library uses: categories of Unicode 8.0, normalization of
  Unicode 9.0, white space (the same in all versions), word characters of Unicode 16.0.

An older version of a property is today's value for code points that are as old (DerivedAge.txt),
except those listed below, whose value has changed since. tests/unit/text and the differential runs
against both libraries over all code points are the check of these lists.

Usage: gen_unicode.py [--data /usr/share/unicode] [--check] [OUTPUT]
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys

N_CODES = 0x110000
BLOCK = 128

WB = (
    "OTHER CR LF NEWLINE EXTEND ZWJ FORMAT RI KATAKANA HEBREW ALETTER SQ DQ MIDNUMLET MIDLETTER MIDNUM NUMERIC "
    "EXTENDNUMLET WSEGSPACE"
).split()
WB_NAMES = {
    "CR": "CR", "LF": "LF", "Newline": "NEWLINE", "Extend": "EXTEND", "ZWJ": "ZWJ", "Format": "FORMAT",
    "Regional_Indicator": "RI", "Katakana": "KATAKANA", "Hebrew_Letter": "HEBREW", "ALetter": "ALETTER",
    "Single_Quote": "SQ", "Double_Quote": "DQ", "MidNumLet": "MIDNUMLET", "MidLetter": "MIDLETTER", "MidNum": "MIDNUM",
    "Numeric": "NUMERIC", "ExtendNumLet": "EXTENDNUMLET", "WSegSpace": "WSEGSPACE",
}  # fmt: skip
# Classes of Lucene's grammar; extenders, formats and the joiner are one class there.
STD = "OTHER ALETTER HEBREW NUMERIC KATAKANA EXTENDNUMLET MIDLETTER MIDNUM MIDNUMLET SQ DQ EXT".split()
STD_OF_WB = {"EXTEND": "EXT", "FORMAT": "EXT", "ZWJ": "EXT"}
FLAGS = (
    "EXT_PICT STD_HANGUL STD_HAN STD_HIRAGANA STD_COMPLEX STD_EMOJI STD_EMOJI_BASE STD_EMOJI_MOD "
    "HF_OTHER HF_PUNCT HF_MN HF_SPACE HF_WORD HF_MARK HF_NEW HF_CJK"
).split()

# --- values that have changed since ---

# Unicode 12.1 word break values, where the code point is as old but today's value differs.
WB12: dict[int, str] = {0x55A: "OTHER", 0x55F: "OTHER", 0x58A: "OTHER"}
WB12 |= dict.fromkeys([*range(0x2E5, 0x2EC), *range(0xA708, 0xA717)], "OTHER")
# Pictographs then, assigned to something else since.
PICT12_ADD = [(0x1FB00, 0x1FBFF)]
HAN12_DROP = {0x16FE2}
# Unicode 8.0 categories.
MN8_ADD, MN8_DROP = {0x1734}, {0x1885, 0x1886, 0xA9BD, 0x111C9}
PUNCT8_ADD: set[int] = {0x166D, 0x111C9}
# Word characters of Unicode 16.0 that the data files do not know.
WORD16_ADD = [
    (0x897, 0x897), (0x1C89, 0x1C8A), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC), (0x105C0, 0x105F3), (0x10D40, 0x10D65),
    (0x10D69, 0x10D6D), (0x10D6F, 0x10D85), (0x10EC2, 0x10EC4), (0x10EFC, 0x10EFC), (0x11380, 0x11389),
    (0x1138B, 0x1138B), (0x1138E, 0x1138E), (0x11390, 0x113B5), (0x113B7, 0x113C0), (0x113C2, 0x113C2),
    (0x113C5, 0x113C5), (0x113C7, 0x113CA), (0x113CC, 0x113D3), (0x113E1, 0x113E2), (0x116D0, 0x116E3),
    (0x11BC0, 0x11BE0), (0x11BF0, 0x11BF9), (0x11F5A, 0x11F5A), (0x13460, 0x143FA), (0x16100, 0x16139),
    (0x16D40, 0x16D6C), (0x16D70, 0x16D79), (0x18CFF, 0x18CFF), (0x1CCF0, 0x1CCF9), (0x1E5D0, 0x1E5FA),
    (0x2EBF0, 0x2EE5D),
]  # fmt: skip
# Unicode 9.0 marks.
MARK9_ADD, MARK9_DROP = {0x1CF2, 0x1CF3}, {0x111C9}

# The blocks that the BERT normalizer takes for Chinese.
CJK = [
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
]  # fmt: skip


class Ucd:
    """The data files as one array per property, indexed by code point."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.category = self._categories()
        self.age = self._values("DerivedAge.txt", (99, 0), lambda v: tuple(map(int, v.split("."))))
        self.wb = self._values("auxiliary/WordBreakProperty.txt", "OTHER", WB_NAMES.__getitem__)
        self.script = self._values("Scripts.txt", "", str)
        self.line_break = self._values("LineBreak.txt", "XX", str)
        self.version = self._version("auxiliary/WordBreakProperty.txt")

    def lines(self, name: str):
        """Yields (first, last, value, comment) of a property file."""
        for line in (self.root / name).read_text(encoding="utf-8").splitlines():
            data, _, comment = line.partition("#")
            fields = [f.strip() for f in data.split(";")]
            if len(fields) < 2:
                continue
            first, _, last = fields[0].partition("..")
            yield int(first, 16), int(last or first, 16), fields[1], comment.strip()

    def _values(self, name: str, default, convert) -> list:
        out = [default] * N_CODES
        for first, last, value, _ in self.lines(name):
            out[first : last + 1] = [convert(value)] * (last - first + 1)
        return out

    def binary(self, name: str, prop: str) -> set[int]:
        """Code points that have a binary property."""
        return {c for first, last, value, _ in self.lines(name) if value == prop for c in range(first, last + 1)}

    def emoji(self, prop: str, version: float) -> set[int]:
        """Code points with an emoji property whose emoji version (E1.0, ...) is at most `version`."""
        out: set[int] = set()
        for first, last, value, comment in self.lines("emoji/emoji-data.txt"):
            if value == prop and float(re.match(r"E([0-9.]+)", comment)[1]) <= version:
                out.update(range(first, last + 1))
        return out

    def _categories(self) -> list[str]:
        out, first = ["Cn"] * N_CODES, 0
        for line in (self.root / "UnicodeData.txt").read_text(encoding="ascii").splitlines():
            fields = line.split(";")
            code = int(fields[0], 16)
            if not fields[1].endswith(", Last>"):
                first = code
            out[first : code + 1] = [fields[2]] * (code - first + 1)
        return out

    def _version(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8").splitlines()[0].split("-")[-1].removesuffix(".txt")


def std_class(ucd: Ucd, code: int) -> str:
    """Class of a code point in Lucene's grammar."""
    if code in WB12:
        value = WB12[code]
    elif ucd.age[code] > (12, 1):
        value = "OTHER"
    else:
        value = ucd.wb[code]
    if 0xFF00 <= code <= 0xFFEF and ucd.category[code] == "Nd":
        value = "NUMERIC"
    value = STD_OF_WB.get(value, value)
    return value if value in STD else "OTHER"


def flag_sets(ucd: Ucd) -> dict[str, set[int]]:
    """The code points of each flag."""
    old = lambda version: {c for c in range(N_CODES) if ucd.age[c] <= version}  # noqa: E731
    of = lambda *cats: {c for c in range(N_CODES) if ucd.category[c] in cats}  # noqa: E731
    age8, age9, age12 = old((8, 0)), old((9, 0)), old((12, 1))
    regional = {c for c in range(N_CODES) if ucd.wb[c] == "RI"}
    modifiers = ucd.emoji("Emoji_Modifier", 12.1)
    not_plain = regional | modifiers | set(map(ord, "0123456789#*©®™\u3030\u303d"))
    pict = ucd.emoji("Extended_Pictographic", 99.0)
    pict12 = pict | {c for first, last in PICT12_ADD for c in range(first, last + 1)}
    marks = of("Mn", "Mc", "Me")
    ascii_punct = {c for c in range(33, 127) if not chr(c).isalnum()}
    word = ucd.binary("DerivedCoreProperties.txt", "Alphabetic") | marks | of("Nd", "Pc")
    word |= ucd.binary("PropList.txt", "Join_Control")
    script = lambda name: {c for c in age12 if ucd.script[c] == name}  # noqa: E731
    return {
        "EXT_PICT": pict,
        "STD_HANGUL": {c for c in script("Hangul") if std_class(ucd, c) == "ALETTER"},
        "STD_HAN": script("Han") - HAN12_DROP,
        "STD_HIRAGANA": script("Hiragana"),
        "STD_COMPLEX": {c for c in age12 if ucd.line_break[c] == "SA"},
        "STD_EMOJI": pict12 | (ucd.emoji("Emoji", 12.1) - not_plain),
        "STD_EMOJI_BASE": ucd.emoji("Emoji_Modifier_Base", 12.1),
        "STD_EMOJI_MOD": modifiers,
        "HF_OTHER": (of("Cc", "Cf", "Co") & age8) | {0xFFFD},
        "HF_PUNCT": (of("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po") & age8) | PUNCT8_ADD | ascii_punct,
        "HF_MN": ((of("Mn") & age8) | MN8_ADD) - MN8_DROP,
        "HF_SPACE": ucd.binary("PropList.txt", "White_Space"),
        "HF_WORD": word | {c for first, last in WORD16_ADD for c in range(first, last + 1)},
        "HF_MARK": ((marks & age9) | MARK9_ADD) - MARK9_DROP,
        "HF_NEW": set(range(N_CODES)) - age9,
        "HF_CJK": {c for first, last in CJK for c in range(first, last + 1)},
    }


def records(ucd: Ucd, sets: dict[str, set[int]]) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Distinct (wb, std, flags) records and each code point's record number."""
    flags = [0] * N_CODES
    for bit, name in enumerate(FLAGS):
        for code in sets[name]:
            flags[code] |= 1 << bit
    numbers: dict[tuple[int, int, int], int] = {}
    of_code = []
    for code in range(N_CODES):
        key = (WB.index(ucd.wb[code]), STD.index(std_class(ucd, code)), flags[code])
        of_code.append(numbers.setdefault(key, len(numbers)))
    if len(numbers) > 256:
        sys.exit(f"{len(numbers)} distinct records do not fit a byte")
    return list(numbers), of_code


def two_stages(of_code: list[int]) -> tuple[list[int], list[int]]:
    """Block numbers and the distinct blocks, one behind the other."""
    numbers: dict[tuple[int, ...], int] = {}
    first = [numbers.setdefault(tuple(of_code[at : at + BLOCK]), len(numbers)) for at in range(0, N_CODES, BLOCK)]
    if len(numbers) > 0xFFFF:
        sys.exit("too many blocks")
    return first, [value for block in numbers for value in block]


def c_array(head: str, values: list[str]) -> str:
    """A C array of numbers in lines of at most 110 columns."""
    lines, line = [], "   "
    for value in values:
        if len(line) + len(value) + 2 > 110:
            lines.append(line)
            line = "   "
        line += f" {value},"
    return f"{head} = {{\n" + "\n".join([*lines, line]) + "\n};\n"


def table(ucd: Ucd) -> str:
    """The whole C file."""
    recs, of_code = records(ucd, flag_sets(ucd))
    first, second = two_stages(of_code)
    head = f"""/*
 * unicode_table.c - properties of code points for word segmentation and tokenizers, in two stages.
 *
 * Made by scripts/gen_unicode.py out of the Unicode data files, version {ucd.version}; do not edit.
 * Copyright of the data: (c) 1991-2022 Unicode, Inc., https://www.unicode.org/terms_of_use.html
 * {len(recs)} records, {len(second) // BLOCK} blocks of {BLOCK} code points.
 */
#include "unicode.h"

/* clang-format off */

"""
    return head + "\n".join(
        [
            c_array(f"const hti_char hti_unicode_chars[{len(recs)}]", [f"{{{w}, {s}, {f}}}" for w, s, f in recs]),
            c_array(f"const uint16_t hti_unicode_blocks[{len(first)}]", [str(v) for v in first]),
            c_array(f"const uint8_t hti_unicode_index[{len(second)}]", [str(v) for v in second]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("/usr/share/unicode"))
    parser.add_argument("--check", action="store_true", help="fail if the file is not what would be written")
    parser.add_argument("output", type=pathlib.Path, nargs="?")
    args = parser.parse_args()
    output = args.output or pathlib.Path(__file__).parent.parent / "src/text/unicode_table.c"
    text = table(Ucd(args.data))
    if not args.check:
        output.write_text(text, encoding="ascii")
    elif output.read_text(encoding="ascii") != text:
        sys.exit(f"{output} is not what the data files give: run scripts/gen_unicode.py")


if __name__ == "__main__":
    main()
