#!/usr/bin/env python3
"""Makes the torch of the package index usable on a CPU without its 5 GB of CUDA libraries.

The x86-64 wheel is linked against them, so it does not even load where they are missing. This writes stand-ins for
exactly the libraries that are missing, with the symbols torch asks of them, into the folder where torch looks
(site-packages/nvidia/cu13/lib); each function returns an error or 0, and no CPU code path calls one.
Run it with the interpreter of the environment, after `pip install --no-deps torch`; needs cc, nm and readelf.
"""

from __future__ import annotations

import ctypes
import pathlib
import re
import subprocess
import sys
import sysconfig

SITE = pathlib.Path(sysconfig.get_paths()["purelib"])
# Symbols without a version tag that belong to CUDA's libraries.
UNTAGGED = re.compile(r"(__)?(cu[A-Z_a-z]|nccl|nvrtc|nvshmem|nvJitLink)")
NO_DEVICE = 100  # cudaErrorNoDevice


def output(*args: object) -> str:
    return subprocess.run([str(arg) for arg in args], capture_output=True, text=True, check=True).stdout


def loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def read_libraries(libraries: list[pathlib.Path]) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """Symbols wanted and not defined (name -> version tag), version tag -> library, and libraries needed."""
    wanted: dict[str, str] = {}
    defined: set[str] = set()
    needed: set[str] = set()
    library_of: dict[str, str] = {}
    for file in libraries:
        for line in output("nm", "-D", file).splitlines():
            kind, _, name = line[17:].partition(" ")
            base, _, tag = name.partition("@")
            if kind == "U":
                wanted[base] = tag.lstrip("@")
            elif kind not in "wv":
                defined.add(base)
        needed |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", file)))
        holder = ""
        for line in output("readelf", "-VW", file).splitlines():
            found = re.search(r"File: (\S+)", line)
            holder = found[1] if found else holder
            tag = re.search(r"Name: (\S+)", line)
            if tag and holder:
                library_of[tag[1]] = holder
    return {name: tag for name, tag in wanted.items() if name not in defined}, library_of, needed


def write_stand_in(path: pathlib.Path, names: list[str], tags: dict[str, str]) -> None:
    """One shared library of functions that return at once; tags: symbol -> version, "" for none."""
    returns = {"cudaGetDeviceCount": NO_DEVICE}
    code = "".join(f"int {name}(void) {{ return {returns.get(name, 0)}; }}\n" for name in names)
    extra = []
    versions = sorted({tags[name] for name in names if tags[name]})
    if versions:
        script = path.with_suffix(".map")
        script.write_text("".join(f"{v} {{ {' '.join(n + ';' for n in names if tags[n] == v)} }};\n" for v in versions))
        extra = [f"-Wl,--version-script={script}"]
    flags = ["-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{path.name}", *extra]
    subprocess.run(["cc", *flags, "-x", "c", "-", "-o", str(path)], input=code, text=True, check=True)


def main() -> int:
    home = SITE / "torch" / "lib"
    libraries = sorted(home.glob("*.so*"))
    if not libraries:
        print("torch_cpu: torch is not installed here", file=sys.stderr)
        return 1
    wanted, library_of, needed = read_libraries(libraries)
    missing = sorted(name for name in needed - {file.name for file in libraries} if not loads(name))
    folder = SITE / "nvidia" / "cu13" / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    for at, library in enumerate(missing):
        names = [name for name, tag in wanted.items() if tag and library_of.get(tag) == library]
        if at == 0:  # symbols without a tag may lie in any one of them
            names += [name for name, tag in wanted.items() if not tag and UNTAGGED.match(name)]
        write_stand_in(folder / library, sorted(names), wanted)
    print(f"torch_cpu: {len(missing)} stand-ins in {folder}", file=sys.stderr)
    proof = "import torch; torch.ones(2, 2) @ torch.ones(2, 2)"
    return subprocess.run([sys.executable, "-c", proof], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
