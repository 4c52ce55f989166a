#!/usr/bin/env python3
"""Makes cases.json: YAML texts with the trees that an independent reader finds in them.

    python3 make.py > cases.json        needs PyYAML (its pure Python parser is used, not libyaml)

Scalars are resolved here by the regular expressions of YAML 1.2.2, section 10.3.2 (core schema), not by PyYAML, which
follows YAML 1.1. A node is [kind, line, column, value]; a map's value is a list of [key, line, column, node]. Floats
are texts, for Python's float(). A null of which nothing is written has no place (0, 0): readers differ there.
"""

from __future__ import annotations

import json
import random
import re
import sys

import yaml

CORE = [
    ("null", re.compile(r"null|Null|NULL|~|")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    ("float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")),
    ("float", re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
]


def scalar(text: str) -> tuple[str, object]:
    """Kind and value of a plain scalar."""
    kind = next((name for name, pattern in CORE if pattern.fullmatch(text)), "string")
    if kind == "null":
        return kind, None
    if kind == "bool":
        return kind, text.lower() == "true"
    if kind == "int":
        return kind, int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if kind == "float":
        return kind, repr(float(re.sub(r"\.(?=[inIN])", "", text)))
    return kind, text


class Loader(yaml.Loader):
    """Marks plain scalars without a tag instead of resolving them."""

    def resolve(self, kind: type, value: str, implicit: tuple[bool, bool]) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return "plain"
        return super().resolve(kind, value, implicit)


def tree(node: yaml.Node) -> list:
    place = [node.start_mark.line + 1, node.start_mark.column + 1]
    if isinstance(node, yaml.SequenceNode):
        return ["list", *place, [tree(item) for item in node.value]]
    if isinstance(node, yaml.MappingNode):
        marks = [(k.value, k.start_mark, v) for k, v in node.value]
        return ["map", *place, [[key, mark.line + 1, mark.column + 1, tree(v)] for key, mark, v in marks]]
    if node.tag == "plain":
        kind, value = scalar(node.value)
        if not node.value:
            place = [0, 0]
        return [kind, *place, value]
    return ["string", *place, node.value]


HAND = [
    # YAML 1.2.2: examples 2.1 to 2.12, 2.19 to 2.22 as far as the core schema has them, and 10.9
    "- Mark McGwire\n- Sammy Sosa\n- Ken Griffey\n",
    "hr:  65    # Home runs\navg: 0.278 # Batting average\nrbi: 147   # Runs Batted In\n",
    "american:\n- Boston Red Sox\n- Detroit Tigers\n- New York Yankees\nnational:\n- New York Mets\n- Chicago Cubs\n",
    "-\n  name: Mark McGwire\n  hr:   65\n  avg:  0.278\n-\n  name: Sammy Sosa\n  hr:   63\n  avg:  0.288\n",
    "- [name        , hr, avg  ]\n- [Mark McGwire, 65, 0.278]\n- [Sammy Sosa  , 63, 0.288]\n",
    "Mark McGwire: {hr: 65, avg: 0.278}\nSammy Sosa: {\n    hr: 63,\n    avg: 0.288,\n }\n",
    "---\nhr:\n  - Mark McGwire\n  # Following node labeled SS\n  - &SS Sammy Sosa\nrbi:\n"
    "  - *SS # Subsequent occurrence\n  - Ken Griffey\n",
    "---\n# Products purchased\n- item    : Super Hoop\n  quantity: 1\n- item    : Basketball\n  quantity: 4\n",
    "# ASCII Art\n--- |\n  \\//||\\/||\n  // ||  ||__\n",
    "--- >\n  Mark McGwire's\n  year was crippled\n  by a knee injury.\n",
    ">\n Sammy Sosa completed another\n fine season with great stats.\n\n   63 Home Runs\n"
    "   0.288 Batting Average\n\n What a year!\n",
    "name: Mark McGwire\naccomplishment: >\n  Mark set a major league\n  home run record in 1998.\nstats: |\n"
    "  65 Home Runs\n  0.278 Batting Average\n",
    'unicode: "Sosa did fine.\\u263A"\ncontrol: "\\b1998\\t1999\\t2000\\n"\nhex esc: "\\x0d\\x0a is \\r\\n"\n\n'
    "single: '\"Howdy!\" he cried.'\nquoted: ' # Not a ''comment''.'\ntie-fighter: '|\\-*-/|'\n",
    'plain:\n  This unquoted scalar\n  spans many lines.\n\nquoted: "So does this\n  quoted scalar.\\n"\n',
    "canonical: 12345\ndecimal: +12345\noctal: 0o14\nhexadecimal: 0xC\n",
    "canonical: 1.23015e+3\nexponential: 12.3015e+02\nfixed: 1230.15\nnegative infinity: -.inf\nnot a number: .nan\n",
    "null:\nbooleans: [ true, false ]\nstring: '012345'\n",
    "A null: null\nBooleans: [ true, True, false, FALSE ]\nIntegers: [ 0, 0o7, 0x3A, -19 ]\n"
    "Floats: [\n  0., -0.0, .5, +12e03, -2E+05 ]\nAlso floats: [\n  .inf, -.Inf, +.INF, .NAN ]\n",
    # what YAML 1.1 took for something else
    "[yes, no, on, off, y, n, Yes, NO, 010, 0b11, 1_000, 12:30:45, 2001-12-14, 1e3, 1e, .e3, ., +, -, +., 0x, 0o, 0o8]",
    "[0x_1, -0x1F, +0o7, 0X1F, tRUE, nULL, Nan, .Nan, .iNF, inf, 1.5.2, 1e5.0, --1, "
    "9223372036854775807, -9223372036854775808]",
    "[00, -0, +0, 007, -007, 1e400e, 1.e2, 1.e, .5e-3, 5e-324, 1.7976931348623157e308, 4.9e-400, 0.1, "
    "1e22, 123456789.123456789]",
    "? a\n: b\n? c\n",
    "'a b': \"c\\\n   d\"\n? |\n  block key\n: - one\n  - two\n",
    "a: !!str 12\nb: !!str\nc: ! 'x'\nd: !<tag:yaml.org,2002:str> true\ne: !!seq [a]\nf: !!map {b: c}\n",
    "ä: ö\n日本: [語, x]\n",
    "\r\na: 1\r\nb:\r\n  - c\r\n  -   d\r\n",
    "%YAML 1.2\n---\na: 1\n...\n",
    "# nothing but\n--- # a null\n",
    "a: |+\n  keep\n\nb: |-\n  strip\n\nc: >2\n    more\n  less\n",
    "base: &b {x: 1, y: [2, 3]}\none: *b\ntwo: [*b, &c z, *c]\n",
    "a: 'it''s'\nb: \"tab\\tquote\\\" null\\0 next\\N line\\L para\\P nbsp\\_ esc\\e bell\\a \\U0001F600\"\n",
    "[a, [b, [c, {d: [e]}]], {}, []]",
    "{a, b: , c: ~, 'd', \"e\": f}",
    "- - - deep\n    - er\n  - x\n- y: z\n  w:\n  - same\n  - column\n",
]

PLAIN = ["a", "7", "-3", "0x1f", "0o17", "1.5", ".5", "1e3", "true", "False", "null", "~", "yes", ".inf"]
PLAIN += ["-.INF", ".nan", "a b"]


def random_node(rng: random.Random, depth: int) -> object:
    roll = rng.random()
    if depth > 3 or roll < 0.5:
        return rng.choice([*PLAIN, "x: y", "# no", "", " lead", "two\nlines", "é", "- dash", "12", "'", '"', "true"])
    if roll < 0.75:
        return [random_node(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {f"{rng.choice('kmn')}{i}": random_node(rng, depth + 1) for i in range(rng.randrange(4))}


def random_texts(n: int) -> list[str]:
    """Texts that PyYAML writes, in block and flow style, of widths that fold."""
    rng = random.Random(7)
    texts = []
    for _ in range(n):
        style = {"default_flow_style": rng.choice([True, False, None]), "default_style": rng.choice([None, "'", '"'])}
        shape = {"width": rng.choice([20, 80]), "indent": rng.choice([2, 4])}
        texts.append(yaml.safe_dump(random_node(rng, 0), allow_unicode=True, **style, **shape))
    return texts


def plain_texts() -> list[str]:
    """Each short string over the letters of numbers, as a plain scalar in a list."""
    rng = random.Random(11)
    letters = "01789+-.eExoafnintNI_"
    words = sorted({"".join(rng.choice(letters) for _ in range(rng.randrange(1, 7))) for _ in range(3000)})
    kept = [w for w in words if w not in ("-", "--", "---", "...") and not w.startswith(("- ", "? "))]
    return ["".join(f"- {w}\n" for w in kept[i : i + 200]) for i in range(0, len(kept), 200)]


def main() -> None:
    cases = []
    for text in [*HAND, *random_texts(150), *plain_texts()]:
        node = yaml.compose(text, Loader=Loader)
        cases.append({"yaml": text, "tree": tree(node) if node else ["null", 1, 1, None]})
    json.dump(cases, sys.stdout, ensure_ascii=True, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
