"""Frames: lazy columns and expressions over them, with Daft's names. Results keep the order of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from houndstooth import _core
from houndstooth._signature import is_async_generator
from houndstooth._spread import plain, spread, spreads

Series = _core.Series
DataType = _core.DataType


def to_series(values: Any) -> Any:
    """A list, tuple or array as a Series."""
    return Series.from_pylist(values)


class Expression:
    """What a column is computed from; made by `col`, `lit`, methods and functions called with one, and operators.

    Operators (``+ - * / // % **``, comparisons, ``& | ^ ~``) are Python's, row by row; None in gives None.
    """

    def __init__(self, described: tuple[Any, ...], name: str) -> None:
        self._described, self._name = described, name

    def alias(self, name: str) -> Expression:
        """The same under another name."""
        return Expression(("alias", self._described, name), name)

    def cast(self, dtype: Any) -> Expression:
        """The rows as another DataType; what would lose something is an error that names the row."""
        return Expression(("cast", self._described, dtype), self._name)

    def is_null(self) -> Expression:
        """Whether a row is None."""
        return self._with(18)

    def not_null(self) -> Expression:
        """Whether a row is something."""
        return self._with(19)

    def name(self) -> str:
        """The name of the column that `select` makes of it."""
        return self._name

    def _with(self, operator: int, other: Any = None, swapped: bool = False) -> Expression:
        a, b = (other, self) if swapped else (self, other)
        return Expression(("op", operator, _described(a), _described(b)), self._name)

    def __repr__(self) -> str:
        return f"Expression({_text(self._described)})"

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value; use & | ~ for and, or, not")

    __hash__ = None  # type: ignore[assignment]


# Their places are the numbers that the extension has for them; from _UNARY on they take one operand.
_OPERATORS = "lt le eq ne gt ge add sub mul truediv floordiv mod pow and or xor neg invert".split()
_SIGNS = [*"< <= == != > >= + - * / // % ** & | ^ - ~".split(), "is_null ", "not_null "]
_ARITHMETIC, _UNARY = 6, 16


def _operator(number: int, swapped: bool) -> Any:
    if number >= _UNARY:
        return lambda self: self._with(number)
    return lambda self, other: self._with(number, other, swapped)


for _number, _operation in enumerate(_OPERATORS):
    setattr(Expression, f"__{_operation}__", _operator(_number, False))
    if _ARITHMETIC <= _number < _UNARY:
        setattr(Expression, f"__r{_operation}__", _operator(_number, True))


def _described(value: Any) -> tuple[Any, ...]:
    return value._described if isinstance(value, Expression) else ("lit", value)


def _text(described: tuple[Any, ...]) -> str:
    kind, first, *rest = described
    if kind in ("rows", "unnest"):
        return _text(first)
    if kind in ("col", "lit"):
        return f"col({first})" if kind == "col" else f"lit({first!r})"
    if kind == "alias":
        return f"{_text(first)} as {rest[0]}"
    if kind == "cast":
        return f"cast({_text(first)}, {rest[0]!r})"
    if kind == "op":
        sign = _SIGNS[first]
        return f"{sign}{_text(rest[0])}" if first >= _UNARY else f"({_text(rest[0])} {sign} {_text(rest[1])})"
    return f"{rest[0].partition(':')[0]}({', '.join(map(_text, rest[1]))})"


def col(name: str) -> Expression:
    """The column of this name."""
    return Expression(("col", name), name)


def lit(value: Any) -> Expression:
    """The same value in every row; as an argument of a call it stays one value."""
    return Expression(("lit", value), "literal")


def call_expression(instance: Any, plan: Any, args: tuple[Any, ...]) -> Expression:
    """A method over columns: its batch form where it is a batch method, else row by row, coroutines together."""
    noted = plan.noted
    first = next(a for a in args if isinstance(a, Expression))
    inner = tuple(map(_described, args))
    if not plan.is_batch():
        method = plan.name + ":row" if plan.batch is not None else plan.name
        return Expression(_unnested(_call_of_rows(instance, method, inner, plan), noted), first._name)
    flags = (1 if noted.get("broadcast") else 0) | (2 if plan.policy()["on_error"] == 1 else 0)
    ways = (noted.get("return_dtype"), noted.get("batch_size", 0), flags)
    return Expression(_unnested(("batch", instance, plan.name + ":batch", inner, *ways), noted), first._name)


def _call_of_rows(instance: Any, method: str, inner: tuple[Any, ...], plan: Any) -> tuple[Any, ...]:
    dtype = plan.noted.get("return_dtype")
    if is_async_generator(plan.function):
        raise TypeError(f"{plan.name}: an asynchronous generator makes no column; give its values in a list")
    if not plan.is_generator:
        return ("call", instance, method, inner, dtype)
    of_arrow = isinstance(dtype, DataType) and dtype != DataType.python()
    lists = DataType.list(dtype) if of_arrow else dtype
    return ("rows", ("call", instance, plan.name + ":list", inner, lists), dtype)


def _unnested(described: tuple[Any, ...], noted: Any) -> tuple[Any, ...]:
    if not noted.get("unnest"):
        return described
    dtype = noted.get("return_dtype")
    if not isinstance(dtype, DataType):
        raise TypeError(f"unnest in a frame needs a struct of this package's DataType, not {dtype!r}")
    return ("unnest", described, dtype._fields())


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
        """Several columns at once; none sees the others.

        A generator's column has a row for each value, the other columns repeated; a call without any gives one row with
        null. With ``unnest`` the columns are the fields, under their own names; the name given is none's. ValueError:
        two columns are of generators, or what is not one column stands inside another expression.
        """
        names, described = list(columns), tuple(map(_described, columns.values()))
        if any(map(spreads, described)):
            return DataFrame(spread(self._frame, names, described, keep=True))
        return DataFrame(self._frame.with_columns(names, described))

    def select(self, *columns: Any, **named: Any) -> DataFrame:
        """Just these columns: names or expressions, by keyword under another name. ValueError: there is no such one.

        Of generators and with ``unnest`` as `with_columns`.
        """
        exprs = [col(c) if isinstance(c, str) else _named(c) for c in columns]
        exprs += [_expression(e).alias(name) for name, e in named.items()]
        described = tuple(e._described for e in exprs)
        if any(map(spreads, described)):
            return DataFrame(spread(self._frame, [e._name for e in exprs], described, keep=False))
        return DataFrame(self._frame.select(described))

    def where(self, predicate: Any) -> DataFrame:
        """The rows where a bool is true; null counts as false. At the run ValueError: the predicate is no bool."""
        return DataFrame(self._frame.where(plain(_described(predicate))))

    filter = where

    def explode(self, column: Any) -> DataFrame:
        """A row for each item of a list column; an empty list or null gives one row with null.

        At the run ValueError: a row is no list.
        """
        name = column.name() if isinstance(column, Expression) else column
        items = ("cast", ("col", name), None)  # what was in objects, typed where that is exact
        return DataFrame(self._frame.explode(name).with_columns([name], (items,)))

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
        """One column as a Series of all rows; ValueError where there is none of the name."""
        return self._rows().column(name)

    def count_rows(self) -> int:
        """How many rows there are; runs the frame."""
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
        """Names of the columns in order; nothing runs."""
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
    return expr if expr._described[0] in ("col", "alias") else expr.alias(expr._name)


def _settings(engine: Any) -> Any:
    from houndstooth.pipeline import _engine_of

    return _engine_of(engine)._settings()


def _series_of(values: Any) -> Any:
    return values if isinstance(values, Series) else Series.from_pylist(values)


def from_pydict(data: dict[str, Any]) -> DataFrame:
    """A frame of columns by name: lists, arrays [n] or Series, all of one length.

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
    """A frame of a table, or of anything with ``__arrow_c_stream__``, without a copy; TypeError: it has none."""
    return DataFrame(_core.Frame.from_arrow(data))
