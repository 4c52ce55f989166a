"""Expressions that make several rows of one: what `select` and `with_columns` do with them.

They are descriptions that the extension does not know, ("rows", call, type). The call is a column of lists first, in a
step of its own, so that it and its neighbours are computed once for a row; then that column is exploded.
"""

from __future__ import annotations

from typing import Any

_SPREADING = frozenset({"rows"})
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
        raise ValueError("a generator's rows are a column of their own: make it one with select or with_column first")
    return described


class _Spread:
    """One column: what is computed of the rows, and what is made of that when there are as many as it has."""

    def __init__(self, name: str, described: Described) -> None:
        self.name, self.column, self.casts = name, name, []
        while described[0] in ("alias", "cast"):
            if described[0] == "cast":
                self.casts.insert(0, described[2])
            described = described[1]
        self.is_rows = described[0] == "rows"
        if self.is_rows:
            _, described, dtype = described
            self.casts.insert(0, dtype)
        self.first = plain(described)

    def last(self) -> dict[str, Described]:
        made: Described = ("col", self.column)
        for dtype in self.casts:
            made = ("cast", made, dtype)
        return {self.name: made}


def spread(frame: Any, names: list[str], described: list[Described], keep: bool) -> Any:
    """The frame with these columns, beside its own where `keep`; one of them at most is of a generator."""
    parts = {n: _Spread(n, d) for n, d in zip(names, described, strict=True) if spreads(d)}
    rows = [p.column for p in parts.values() if p.is_rows]
    if len(rows) > 1:
        raise ValueError(f"columns {rows[0]!r} and {rows[1]!r} are both of generators: make them one after the other")
    firsts = [
        (parts[n].column, parts[n].first) if n in parts else (n, d) for n, d in zip(names, described, strict=True)
    ]
    if keep:
        made = frame.with_columns([n for n, _ in firsts], tuple(d for _, d in firsts))
    else:
        made = frame.select(tuple(("alias", d, n) for n, d in firsts))
    for column in rows:
        made = made.explode(column)
    lasts: dict[str, Described] = {n: ("col", n) for n in frame.names} if keep else {}
    for name in names:
        lasts.update(parts[name].last() if name in parts else {name: ("col", name)})
    return made.select(tuple(("alias", d, n) for n, d in lasts.items()))
