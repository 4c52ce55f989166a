#!/usr/bin/env python3
"""Holds the readers and makers of src/codec/arrow*.c against pyarrow.

    ninja -C BUILD arrow_oracle; python3 arrow_oracle.py BUILD/tests/unit/codec/libarrow_oracle.so

Each array, whole and in slices, goes to C through the C Data Interface, is read there row by row, made anew, and comes
back: pyarrow validates it in full and finds it equal. Needs pyarrow and numpy, so it is no part of the ordinary tests.
"""

from __future__ import annotations

import ctypes
import random
import sys

import numpy as np
import pyarrow as pa

SCHEMA_SIZE, ARRAY_SIZE = 72, 80


def copied(library: ctypes.CDLL, array: pa.Array) -> pa.Array:
    """The array that C makes of this one; RuntimeError with C's message if it refuses."""
    blocks = [ctypes.create_string_buffer(size) for size in (SCHEMA_SIZE, ARRAY_SIZE, SCHEMA_SIZE, ARRAY_SIZE)]
    at = [ctypes.addressof(block) for block in blocks]
    array._export_to_c(at[1], at[0])
    message = ctypes.create_string_buffer(500)
    try:
        status = library.oracle_copy(*(ctypes.c_void_p(a) for a in at), message, ctypes.c_size_t(500))
        if status != 0:
            raise RuntimeError(f"{status}: {message.value.decode()}")
        return pa.Array._import_from_c(at[3], at[2])
    finally:
        pa.Array._import_from_c(at[1], at[0])  # releases what was exported


def random_value(rng: random.Random, kind: pa.DataType) -> object:
    if rng.random() < 0.2:
        return None
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_integer(kind):
        bits = kind.bit_width - pa.types.is_signed_integer(kind)
        least = -(2**bits) if pa.types.is_signed_integer(kind) else 0
        return rng.choice([0, 1, least, 2 ** (bits - 1), 2**bits - 1 if bits < 64 else 2**63])
    if pa.types.is_floating(kind):
        value = rng.choice([0.0, -0.0, 1.5, float("inf"), -float("inf"), 2.0**-14, 0.1])
        return np.float16(value) if pa.types.is_float16(kind) else value
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return rng.choice(["", "a", "é", "日本", "\U0001f600 x"]) * rng.randrange(3)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return rng.randbytes(rng.randrange(4))
    if pa.types.is_fixed_size_list(kind):
        return [random_value(rng, kind.value_type) for _ in range(kind.list_size)]
    if pa.types.is_struct(kind):
        return {field.name: random_value(rng, field.type) for field in kind}
    if pa.types.is_null(kind):
        return None
    return [random_value(rng, kind.value_type) for _ in range(rng.randrange(4))]


def kinds(rng: random.Random) -> list[pa.DataType]:
    plain = [pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()]
    plain += [pa.uint64(), pa.float16(), pa.float32(), pa.float64()]
    plain += [pa.utf8(), pa.large_utf8(), pa.binary(), pa.large_binary()]
    made = list(plain)
    for _ in range(40):
        a, b = rng.choice(made), rng.choice(made)
        made.append(rng.choice([pa.list_(a), pa.large_list(a), pa.list_(a, rng.randrange(1, 4)),
                                pa.struct([pa.field("a", a), pa.field("b", b)]), pa.struct([])]))
    return made


def main() -> int:
    library = ctypes.CDLL(sys.argv[1])
    rng = random.Random(5)
    n_arrays = 0
    for kind in kinds(rng):
        for length in (0, 1, 7, 8, 70):
            whole = pa.array([random_value(rng, kind) for _ in range(length)], type=kind)
            slices = [whole, whole.slice(length // 3), whole.slice(1, length // 2)]
            for array in slices:
                back = copied(library, array)
                back.validate(full=True)
                if not back.equals(array) or back.type != array.type or back.null_count != array.null_count:
                    print(f"{kind}: wanted {array}, got {back}")
                    return 1
                n_arrays += 1
    for wrong in (pa.array(["a", "b", "a"]).dictionary_encode(), pa.array([1], pa.timestamp("s"))):
        try:
            copied(library, wrong)
        except RuntimeError as why:
            print(f"{wrong.type}: refused with {why}")
        else:
            print(f"{wrong.type} was taken")
            return 1
    print(f"{n_arrays} arrays equal after reading and making")
    return 0


if __name__ == "__main__":
    sys.exit(main())
