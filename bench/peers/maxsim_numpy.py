"""Documents/s of numpy's MaxSim (one matrix product, then a segmented maximum) on bench_maxsim's shape, one thread."""

import os
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np  # noqa: E402  (the thread count must be set before)

N_DOCS, DIM, N_QUERY, PASSES = 1400, 384, 23, 10


def main() -> None:
    """Print the best rate of 10 passes of each matrix order over 1,400 documents of 60 to 292 vectors."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(60, 293, N_DOCS)
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    vectors = rng.standard_normal((int(lengths.sum()), DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[:N_QUERY].copy()
    variants = (
        lambda: np.maximum.reduceat(query @ vectors.T, offsets, axis=1).sum(0),
        lambda: np.maximum.reduceat(vectors @ query.T, offsets, axis=0).sum(1),
    )
    best = float("inf")
    for _ in range(PASSES):
        for variant in variants:
            start = time.perf_counter()
            variant()
            best = min(best, time.perf_counter() - start)
    print(f"{N_DOCS / best:.0f}")


if __name__ == "__main__":
    main()
