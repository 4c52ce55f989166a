#!/usr/bin/env python3
"""Holds frames' import and export of record batches against pyarrow.

    ninja -C BUILD frame_oracle; python3 frame_oracle.py BUILD/tests/unit/frame/libframe_oracle.so

Tables of random columns and random chunks go through the C Stream Interface into a frame, are cut there, and come back:
pyarrow validates them in full and finds them equal. Needs pyarrow, so it is no part of the ordinary tests.
"""

from __future__ import annotations

import ctypes
import random
import sys

import pyarrow as pa

TYPES = [
    pa.bool_(), pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.string(),
    pa.large_string(), pa.binary(), pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.float32(), 3),
    pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))]), pa.list_(pa.list_(pa.bool_())), pa.null(),
]  # fmt: skip


def value(rng: random.Random, kind: pa.DataType) -> object:
    if rng.random() < 0.15 or pa.types.is_null(kind):
        return None
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_integer(kind):
        return rng.randrange(100)
    if pa.types.is_floating(kind):
        return rng.randrange(1000) / 8
    if pa.types.is_binary(kind):
        return rng.randbytes(rng.randrange(6))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "".join(rng.choice("aé漢😀") for _ in range(rng.randrange(5)))
    if pa.types.is_fixed_size_list(kind):
        return [value(rng, kind.value_type) for _ in range(kind.list_size)]
    if pa.types.is_struct(kind):
        return {field.name: value(rng, field.type) for field in kind}
    return [value(rng, kind.value_type) for _ in range(rng.randrange(4))]


def table(rng: random.Random) -> pa.Table:
    kinds = [rng.choice(TYPES) for _ in range(rng.randrange(1, 5))]
    schema = pa.schema([(f"c{i}", kind) for i, kind in enumerate(kinds)])
    batches = []
    for _ in range(rng.randrange(4)):
        n, skip = rng.randrange(30), rng.randrange(5)
        arrays = [pa.array([value(rng, kind) for _ in range(n + skip)], kind) for kind in kinds]
        batches.append(pa.record_batch(arrays, schema=schema).slice(skip))
    return pa.Table.from_batches(batches, schema)


def through(library: ctypes.CDLL, given: pa.Table, limit: int) -> pa.Table:
    blocks = [ctypes.create_string_buffer(40), ctypes.create_string_buffer(40)]
    at = [ctypes.addressof(block) for block in blocks]
    given.to_reader()._export_to_c(at[0])
    message = ctypes.create_string_buffer(1000)
    status = library.oracle_frame(
        ctypes.c_void_p(at[0]), ctypes.c_size_t(limit), ctypes.c_void_p(at[1]), message, ctypes.c_size_t(1000)
    )
    if status != 0:
        raise RuntimeError(f"{status}: {message.value.decode()}")
    return pa.RecordBatchReader._import_from_c(at[1]).read_all()


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    for seed in range(2000):
        rng = random.Random(seed)
        given = table(rng)
        limit = rng.choice([0, 1, given.num_rows, 10**9, rng.randrange(given.num_rows + 1)])
        got, wanted = through(library, given, limit), given.slice(0, limit)
        got.validate(full=True)
        if given.num_rows == 0 or limit == 0:
            if got.num_rows or got.column_names != given.column_names:
                sys.exit(f"seed {seed}: {got} is not empty")
        elif not got.equals(wanted):
            sys.exit(f"seed {seed}: {got} is not {wanted}")
    print("2000 tables through a frame and back: equal, and valid in full")


main()
