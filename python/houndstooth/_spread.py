"""Expressions that make several rows of one, or several columns: what `select` and `with_columns` do with them.

They are descriptions that the extension does not know:
  ("rows", call, type)         a generator's call, which gives lists
  ("unnest", call, {name: type})   a call that gives structs, also ("rows", ...)
The call is a column first, in a step of its own, so that it and its neighbours are computed once for a row; then that
column is exploded, and its fields are taken out of it.
"""

from __future__ import annotations

from typing import Any

_SPREADING = frozenset({"rows", "unnest"})
_ITEM = 20  # the extension's number of a[b]
Described = tuple[Any, ...]


def spreads(described: Any) -> bool:
    """Whether a description has such an expression anywhere."""
    if not isinstance(described, tuple) or not described or described[0] == "lit":
        return False
    if described[0] in _SPREADING:
        return True
    inner = described[3] if described[0] in ("call", "batch") else described[1:]
    return any(spreads(d) for d in inner)


def plain(described: Described) -> Described:
    """The description; ValueError where it has such an expression."""
    if spreads(described):
        raise ValueError(
            "a generator's rows are a column of their own, and so are fields with unnest: make them columns first, "
            "with select or with_columns"
        )
    return described


class _Spread:
    """One column: what is computed of the rows, and what is made of that when there are as many as it has."""

    def __init__(self, name: str, described: Described, at: int) -> None:
        self.name, self.column, self.casts, self.fields = name, name, [], None
        while described[0] in ("alias", "cast"):
            if described[0] == "cast":
                self.casts.insert(0, described[2])
            described = described[1]
        if described[0] == "unnest":
            if self.casts:
                plain(described)
            _, described, self.fields = described
            self.column = f"(unnest {at})"
        self.is_rows = described[0] == "rows"
        if self.is_rows:
            _, described, dtype = described
            self.casts.insert(0, dtype)
        self.first = plain(described)

    def last(self) -> dict[str, Described]:
        made: Described = ("col", self.column)
        for dtype in self.casts:
            made = ("cast", made, dtype)
        if self.fields is None:
            return {self.name: made}
        return {f: ("cast", ("op", _ITEM, made, ("lit", f)), dtype) for f, dtype in self.fields.items()}


def spread(frame: Any, names: list[str], described: list[Described], keep: bool) -> Any:
    """The frame with these columns, beside its own where `keep`; one of them at most is of a generator."""
    parts = [_Spread(name, d, at) for at, (name, d) in enumerate(zip(names, described, strict=True))]
    rows = [p for p in parts if p.is_rows]
    if len(rows) > 1:
        a, b = rows[0].name, rows[1].name
        raise ValueError(f"columns {a!r} and {b!r} are both of generators: make them one after the other")
    if keep:
        made = frame.with_columns([p.column for p in parts], tuple(p.first for p in parts))
    else:
        made = frame.select(tuple(("alias", p.first, p.column) for p in parts))
    for p in rows:
        made = made.explode(p.column)
    lasts: list[tuple[str, Described]] = [f for p in parts for f in p.last().items()]
    if keep:
        lasts = list({**{n: ("col", n) for n in frame.names}, **dict(lasts)}.items())
    return made.select(tuple(("alias", d, n) for n, d in lasts))
