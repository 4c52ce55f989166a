"""Frames: lazy columns and expressions over them, with Daft's names. Results keep the order of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from houndstooth import _core

Series = _core.Series
DataType = _core.DataType


def to_series(values: Any) -> Any:
    """A list, tuple or array as a Series."""
    return Series.from_pylist(values)


class Expression:
    """What a column is computed from; made by `col`, `lit`, and methods and functions called with one of these."""

    def __init__(self, described: tuple[Any, ...], name: str, keep: tuple[Any, ...] = ()) -> None:
        self._described, self._name, self._keep = described, name, keep

    def alias(self, name: str) -> Expression:
        """The same under another name."""
        return Expression(("alias", self._described, name), name, self._keep)

    def name(self) -> str:
        """The name of the column that `select` makes of it."""
        return self._name

    def __repr__(self) -> str:
        return f"Expression({_text(self._described)})"

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value; collect the frame first")


def _text(described: tuple[Any, ...]) -> str:
    kind = described[0]
    if kind == "col":
        return f"col({described[1]})"
    if kind == "lit":
        return f"lit({described[1]!r})"
    if kind == "alias":
        return f"{_text(described[1])} as {described[2]}"
    return f"{described[2].partition(':')[0]}({', '.join(map(_text, described[3]))})"


def col(name: str) -> Expression:
    """The column of this name."""
    return Expression(("col", name), name)


def lit(value: Any) -> Expression:
    """The same value in every row; as an argument of a call it stays one value."""
    return Expression(("lit", value), "literal")


def call_expression(instance: Any, plan: Any, args: tuple[Any, ...]) -> Expression:
    """A method over columns: its batch form where it is a batch method, else row by row, coroutines together."""
    method = plan.name
    if plan.is_batch():
        method += ":batch"
    elif plan.batch is not None:
        method += ":row"
    described = tuple(a._described if isinstance(a, Expression) else ("lit", a) for a in args)
    first = next(a for a in args if isinstance(a, Expression))
    keep = (instance, *(k for a in args if isinstance(a, Expression) for k in a._keep))
    return Expression(("call", instance, method, described), first._name, keep)


class DataFrame:
    """A table and what is to be done with it: nothing runs before `collect` or what needs its rows."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._done: Any = frame if frame.n_rows is not None else None

    # ---- lazy ----

    def with_column(self, name: str, expr: Any) -> DataFrame:
        """Another column behind the others, or in the place of the one of that name."""
        return self.with_columns({name: expr})

    def with_columns(self, columns: dict[str, Any]) -> DataFrame:
        """Several columns at once; none sees the others."""
        exprs = [_expression(e) for e in columns.values()]
        described = tuple(e._described for e in exprs)
        return DataFrame(self._frame.with_columns(list(columns), described, _kept(exprs)))

    def select(self, *columns: Any, **named: Any) -> DataFrame:
        """Just these columns: names or expressions."""
        exprs = [col(c) if isinstance(c, str) else _named(c) for c in columns]
        exprs += [_expression(e).alias(name) for name, e in named.items()]
        return DataFrame(self._frame.select(tuple(e._described for e in exprs), _kept(exprs)))

    def where(self, predicate: Any) -> DataFrame:
        """The rows where a bool is true; null counts as false."""
        expr = _expression(predicate)
        return DataFrame(self._frame.where(expr._described, _kept([expr])))

    filter = where

    def explode(self, column: Any) -> DataFrame:
        """A row for each item of a list column; an empty list or null gives one row with null."""
        return DataFrame(self._frame.explode(column.name() if isinstance(column, Expression) else column))

    def limit(self, n: int) -> DataFrame:
        """The first n rows."""
        return DataFrame(self._frame.limit(n))

    # ---- running ----

    def collect(self, num_preview_rows: int | None = None, engine: Any = None) -> DataFrame:
        """Runs it, once; the frame itself then has its rows.

        Parameters
        ----------
        engine : engine
            Default: one thread.
        """
        if self._done is None:
            self._done = self._frame.collect(_settings(engine))
        return self

    def _rows(self) -> Any:
        return self.collect()._done

    def to_pydict(self) -> dict[str, list[Any]]:
        """Columns as lists; objects are the same objects."""
        done = self._rows()
        return {name: done.column(name).to_pylist() for name in done.names}

    def to_pylist(self) -> list[dict[str, Any]]:
        """Rows as dicts."""
        columns = self.to_pydict()
        return [dict(zip(columns, row, strict=False)) for row in zip(*columns.values(), strict=False)]

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        """Rows as dicts, one by one."""
        yield from self.to_pylist()

    __iter__ = iter_rows

    def to_arrow(self) -> Any:
        """A pyarrow Table of the same memory where the columns are Arrow's."""
        import pyarrow

        done = self._rows()
        return pyarrow.table({name: done.column(name).to_arrow() for name in done.names})

    def to_series(self, name: str) -> Any:
        """One column."""
        return self._rows().column(name)

    def count_rows(self) -> int:
        return self._rows().n_rows

    def __len__(self) -> int:
        if self._done is None:
            raise RuntimeError("a frame has a length once it is collected; count_rows() collects it")
        return self._done.n_rows

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._rows().__arrow_c_stream__(requested_schema)

    # ---- looking ----

    @property
    def column_names(self) -> list[str]:
        return self._frame.names

    def schema(self) -> dict[str, Any]:
        """Types of the columns, by name; runs the frame."""
        done = self._rows()
        return {name: done.column(name).datatype() for name in done.names}

    def __getitem__(self, name: str) -> Expression:
        if name not in self.column_names:
            raise ValueError(f"no column {name!r}; there are {', '.join(self.column_names)}")
        return col(name)

    def show(self, n: int = 8) -> None:
        """Prints the first rows as a table; runs just enough."""
        print(self._show(n), end="")

    def _show(self, n: int) -> str:
        return (self._done or self._frame).show(n, _settings(None))

    def explain(self, *_: Any, **__: Any) -> None:
        """Prints what would run."""
        print(self._frame.explain(), end="")

    def __repr__(self) -> str:
        if self._done is None:
            return f"DataFrame({', '.join(self.column_names)}; not collected)"
        return self._show(8)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"


def _expression(value: Any) -> Expression:
    return value if isinstance(value, Expression) else lit(value)


def _named(value: Any) -> Expression:
    """Under its name: a call has that of its first column."""
    expr = _expression(value)
    return expr.alias(expr._name) if expr._described[0] == "call" else expr


def _kept(exprs: list[Expression]) -> tuple[Any, ...]:
    return tuple(k for e in exprs for k in e._keep)


def _settings(engine: Any) -> Any:
    from houndstooth.pipeline import _engine_of

    return _engine_of(engine)._settings()


def _series_of(values: Any) -> Any:
    return values if isinstance(values, Series) else Series.from_pylist(values)


def from_pydict(data: dict[str, Any]) -> DataFrame:
    """A frame of columns by name: lists, arrays or Series.

    Raises
    ------
    ValueError
        They differ in length; all lengths are told.
    """
    return DataFrame(_core.Frame.from_columns(list(data), tuple(_series_of(v) for v in data.values())))


def from_pylist(rows: list[dict[str, Any]]) -> DataFrame:
    """A frame of rows; a key that a row lacks is None there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return from_pydict({name: [row.get(name) for row in rows] for name in names})


def from_arrow(data: Any) -> DataFrame:
    """A frame of a table, or of anything with ``__arrow_c_stream__``, without a copy."""
    return DataFrame(_core.Frame.from_arrow(data))
