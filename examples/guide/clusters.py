"""The retrieval graph of thirteen nodes on real clusters, from C and from Python, beside the same on this machine.

    clusters.py [--model NAME] [--data FOLDER] [--hound FILE] [--json] [--only NAMES]

From C means `hound run` on examples/retrieval.yaml: workers load the library and run their slices in C. The Dask
cluster is a scheduler and two worker processes that talk over TCP, without a nanny, so that a killed worker stays away.
Exit code 1 where the figures of one way differ from those of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import houndstooth as ht

import retrieval

ROOT = Path(__file__).resolve().parents[2]
OURS = {"HOUND_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}  # to other processes


@contextmanager
def dask_cluster(above: str) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler's address and two worker processes."""
    folder = tempfile.mkdtemp(dir=above)
    environment = {**os.environ, **OURS}
    start = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--no-dashboard",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    scheduler = subprocess.Popen(
        [*start, "--scheduler-file", f"{folder}/scheduler.json"], env=environment, stderr=subprocess.DEVNULL
    )
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny", "--no-dashboard", "--nthreads", "1"]
    workers = [
        subprocess.Popen(
            [*worker, "--scheduler-file", f"{folder}/scheduler.json", "--local-directory", folder],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    try:
        from distributed import Client

        with Client(scheduler_file=f"{folder}/scheduler.json", timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address, workers
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()


def kill_one(address: str, workers: list[subprocess.Popen], told: list[int]) -> None:
    """Kills a worker once both have slices under way."""
    from distributed import Client

    with Client(address) as client:
        while not all(client.processing().values()):
            time.sleep(0.01)
        workers[0].kill()
        told.append(workers[0].pid)


class Ways:
    """Every way of running the graph: a name, and a function that gives its figures."""

    def __init__(self, options: argparse.Namespace, folder: str) -> None:
        self.options, self.folder = options, folder
        text = (ROOT / "examples/retrieval.yaml").read_text()
        text = text.replace("model: default", f"model: {options.model}").replace("data/cranfield", options.data)
        self.file = f"{folder}/retrieval.yaml"
        Path(self.file).write_text(text.replace("build/indexes", f"{folder}/c"))

    def from_c(self, *arguments: str) -> dict[str, Any]:
        command = [self.options.hound, "run", self.file, "--json", "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **OURS})
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)["evaluation_results"]

    def from_python(self, engine: Any) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self.folder) as index:
            inputs = retrieval.inputs_of(self.options.model, self.options.data, index)
            run = retrieval.build(engine).run(inputs, output_name="evaluation_results")
        return run["evaluation_results"]

    def c_here(self):
        return self.from_c()

    def c_dask(self):
        with dask_cluster(self.folder) as (address, _):
            return self.from_c("--engine", "dask", "--address", address, "--workers", "2")

    def c_dask_killed(self):
        with dask_cluster(self.folder) as (address, workers):
            told: list[int] = []
            killer = threading.Thread(target=kill_one, args=(address, workers, told), daemon=True)
            killer.start()
            figures = self.from_c("--engine", "dask", "--address", address, "--workers", "2")
            killer.join(5)
            if not told or workers[0].poll() is None or workers[1].poll() is not None:
                raise RuntimeError("no worker was killed in the middle")
            return figures

    def c_daft(self):
        return self.from_c("--engine", "daft", "--runner", "native")

    def c_daft_ray(self):
        return self.from_c("--engine", "daft", "--runner", "ray")

    def python_here(self):
        return self.from_python(ht.SequentialEngine())

    def python_threads(self):
        return self.from_python(ht.ThreadEngine(2))

    def python_processes(self):
        return self.from_python(ht.ProcessEngine(2))

    def python_dask(self):
        from distributed import Client

        with dask_cluster(self.folder) as (address, _), Client(address) as client:
            return self.from_python(ht.DaskEngine(client))

    def python_daft(self):
        return self.from_python(ht.DaftEngine(runner="native"))


NAMES = [name for name in vars(Ways) if name.startswith(("c_", "python_"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default", help="a folder, or the name of an installed model")
    parser.add_argument("--data", default=str(ROOT / "data/cranfield"))
    found = shutil.which("hound") or str(ROOT / "build/release/hound")
    parser.add_argument("--hound", default=os.environ.get("HOUND", found), help="the command")
    parser.add_argument(
        "--only", default=",".join(NAMES), help="names with commas; the first is what others are held to"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        ways = Ways(options, folder)
        for name in options.only.split(","):
            if name not in NAMES:
                parser.error(f"--only: no way {name!r}; there are {', '.join(NAMES)}")
            start = time.perf_counter()
            figures = getattr(ways, name)()
            same = not rows or all(abs(figures[k] - rows[0]["figures"][k]) < 1e-9 for k in rows[0]["figures"])
            rows.append({"way": name, "seconds": time.perf_counter() - start, "same": same, "figures": figures})
            if not options.json:
                shown = "  ".join(f"{k} {v:.6g}" for k, v in figures.items())
                print(f"{name:16} {rows[-1]['seconds']:7.1f} s  {shown}  {'' if same else 'DIFFERS'}", flush=True)
    if options.json:
        print(json.dumps(rows))
    return 0 if all(row["same"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
