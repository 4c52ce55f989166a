"""Runs our benches and their peers in turn and puts the figures side by side; bench/run.sh calls it.

    run.py --build DIR --model DIR --work DIR [--only text,store,flow,lexical,maxsim,plaid,encode]

Prints JSON lines {bench, name, value, unit, peer, peer_value, ratio, cpu, commit}, then a table. A ratio is above 1
where we are better: ours / peer for rates, peer / ours for times and sizes. Peers print {bench, name, value, unit,
engine}; a line of ours with the same bench and name is compared with it. The peak memory of every process comes from
the system (wait4), the children it started included.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
CRANFIELD = ROOT / "data" / "cranfield"
LESS_IS_BETTER = {"ms", "us", "s", "ns", "bytes", "MB", "bits"}
EVERY = 8  # every 8th document of Cranfield is encoded, by us and by the peers

Line = dict[str, Any]


class Done(NamedTuple):
    lines: list[Line]
    text: str
    peak_bytes: int


def run(command: list[str], threads: int) -> Done | None:
    """Runs one process on the first `threads` CPUs of ours; None if it failed (its words are on stderr)."""
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(names, str(threads)), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    shown = " ".join(pathlib.Path(part).name if "/" in part else part for part in command)
    print(f"bench: {shown}", file=sys.stderr, flush=True)
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, env=env, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus)
    )
    assert child.stdout is not None
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        print(f"bench: it failed with {child.returncode}: {' '.join(command)}", file=sys.stderr)
        return None
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return Done(lines, text, usage.ru_maxrss * 1024)


def about_machine() -> Line:
    cpu = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {"cpu": cpu, "commit": commit}


def side_by_side(ours: list[Line], peers: list[Line], machine: Line) -> list[Line]:
    """Our lines, once for each peer that measured the same thing."""
    made = []
    for line in ours:
        same = [peer for peer in peers if (peer["bench"], peer["name"]) == (line["bench"], line["name"])]
        for peer in same or [None]:
            row = {**line, "peer": line.get("peer") or "", "ratio": line.get("ratio"), **machine}
            if peer:
                value, other = float(line["value"]), float(peer["value"])
                better = (other, value) if line["unit"] in LESS_IS_BETTER else (value, other)
                row.update(peer=peer["engine"], peer_value=peer["value"])
                row["ratio"] = round(better[0] / better[1], 3) if better[1] else None
            made.append(row)
    return made


def memory_lines(bench: str, ours: Done | None, peers: list[tuple[str, Done]]) -> tuple[list[Line], list[Line]]:
    """Peak memory of our process, and the largest of each peer's."""
    line = {"bench": bench, "name": "peak memory", "unit": "MB"}
    mine = [{**line, "value": round(ours.peak_bytes / 1e6)}] if ours else []
    largest: dict[str, int] = {}
    for engine, done in peers:
        largest[engine] = max(largest.get(engine, 0), done.peak_bytes)
    return mine, [{**line, "value": round(peak / 1e6), "engine": engine} for engine, peak in largest.items()]


def together(bench: str, mine: Done | None, peers: list[tuple[str, Done]]) -> tuple[list[Line], list[Line]]:
    """Our lines and the peers', the peak memory of both added."""
    ours, others = memory_lines(bench, mine, peers)
    own = [line for line in (mine.lines if mine else []) if line["name"] != "peak memory"]
    return own + ours, [line for _, done in peers for line in done.lines] + others


def encode(args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """Token vectors of Cranfield documents at their real lengths."""
    common = ["--model", str(args.model), "--corpus", str(CRANFIELD / "corpus.jsonl"), "--every", str(EVERY)]
    common += ["--queries", str(CRANFIELD / "queries.jsonl"), "--work", str(args.work)]
    peers = []
    for threads in (1, 2):
        for program, precision in (("onnx", "f32"), ("torch", "f32"), ("torch", "bf16")):
            if threads > len(os.sched_getaffinity(0)) or (precision == "bf16" and not args.bf16):
                continue
            options = [*common, "--threads", str(threads), "--precision", precision]
            done = run([sys.executable, "-W", "ignore", str(PEERS / f"encode_{program}.py"), *options], threads)
            if done and done.lines:
                peers.append((str(done.lines[0]["engine"]), done))
    n_docs = sum(1 for _ in (CRANFIELD / "corpus.jsonl").open(encoding="utf-8")) // EVERY
    mine = run([str(args.build / "bench/bench_encode"), str(args.model), str(CRANFIELD), "--docs", str(n_docs)], 2)
    return together("encode", mine, peers)


def with_one_number(bench: str, engine: str, program: str, args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """A bench that compares with the one number its peer prints, one thread."""
    peer = run([sys.executable, str(PEERS / program)], 1)
    mine = run([str(args.build / "bench" / f"bench_{bench}"), f"echo {peer.text.split()[0] if peer else 0}"], 1)
    for line in mine.lines if mine else []:
        if isinstance(line.get("peer"), (int, float)):
            line.update(peer_value=line["peer"], peer=engine)
    return together(bench, mine, [(engine, peer)] if peer else [])


def maxsim(args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """The kernels of MaxSim on the shape of Cranfield, one thread."""
    return with_one_number("maxsim", "numpy", "maxsim_numpy.py", args)


def text(args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """Analyzers and the tokenizer, one thread."""
    return with_one_number("text", "tokenizers", "wordpiece_hf.py", args)


def lexical(args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """BM25 over Cranfield, one thread."""
    peer = run([sys.executable, str(PEERS / "bm25s_bench.py"), str(CRANFIELD)], 1)
    for line in peer.lines if peer else []:
        line["engine"] = line.pop("peer", "bm25s")
    index = str(args.work / "lexical.index")
    mine = run([str(args.build / "bench/bench_lexical"), str(CRANFIELD), "--index", index], 1)
    return together("lexical", mine, [(str(peer.lines[0]["engine"]), peer)] if peer and peer.lines else [])


def plaid(args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """The token-vector index: building, opening, searching with 1 and 2 threads."""
    return together("plaid", run([str(args.build / "bench/bench_plaid"), str(args.work / "plaid.segment")], 2), [])


def store(args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """A collection of 100,000 small documents: adding, opening, look-ups; one thread."""
    folder = args.work / "store"
    shutil.rmtree(folder, ignore_errors=True)
    return together("store", run([str(args.build / "bench/bench_store"), str(folder)], 1), [])


def flow(args: argparse.Namespace) -> tuple[list[Line], list[Line]]:
    """The pipeline runtime beside plain loops and one batch by hand, one thread."""
    return together("flow", run([str(args.build / "bench/bench_flow")], 1), [])


SUBJECTS = {
    "text": text,
    "store": store,
    "flow": flow,
    "lexical": lexical,
    "maxsim": maxsim,
    "plaid": plaid,
    "encode": encode,
}


def number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def print_table(rows: list[Line]) -> None:
    cells = [("bench", "what", "ours", "unit", "peer", "peer's", "ratio")]
    for row in rows:
        peer_value = number(row["peer_value"]) if "peer_value" in row else ""
        ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else ""
        value, unit, peer = number(row["value"]), row["unit"], str(row["peer"])
        cells.append((row["bench"], row["name"], value, unit, peer, peer_value, ratio))
    widths = [max(len(row[i]) for row in cells) for i in range(7)]
    for row in cells:
        parts = [text.rjust(width) if at in (2, 5, 6) else text.ljust(width)
                 for at, (text, width) in enumerate(zip(row, widths))]  # fmt: skip
        print("  ".join(parts).rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--only", default=",".join(SUBJECTS), help=f"subjects, of {', '.join(SUBJECTS)}")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    args.bf16 = "amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    machine = about_machine()
    rows: list[Line] = []
    for name in args.only.split(","):
        if name not in SUBJECTS:
            parser.error(f"no bench {name}; there are {', '.join(SUBJECTS)}")
        if not (args.build / "bench" / f"bench_{name}").exists():
            print(f"bench: bench_{name} is not in this build: left out", file=sys.stderr)
            continue
        made = side_by_side(*SUBJECTS[name](args), machine)
        for row in made:
            print(json.dumps(row), flush=True)
        rows += made
    print()
    print_table(rows)
    cpus = len(os.sched_getaffinity(0))
    print(f"\n{machine['cpu']}, {cpus} CPUs, commit {machine['commit']}; a ratio above 1: ours is better")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
