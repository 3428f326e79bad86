"""Queries as DataFrames whose column types follow from the schema, not from the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import JSON, Boolean, ColumnElement, Connection, Float, Integer, Select

Query: TypeAlias = "Select[*tuple[Any, ...]]"

_AT_A_TIME = 500
"""Rows that are Python's objects at once: as many as stay in a processor's cache until they are numbers."""

_NUMPY = {"float64": np.float64, "int64": np.int64, "bool": np.bool_}


def read_frame(connection: Connection, statement: Query) -> pd.DataFrame:
    """Return a query's rows: text as str, numbers as float64 or int64, integers that may be missing as Int64."""
    columns = list(statement.selected_columns)
    names = [str(column.key) for column in columns]
    kinds = [_dtype(column) for column in columns]
    parts: list[list[npt.NDArray[Any]]] = [[] for _ in columns]
    for block in _blocks(connection, statement, columns):
        for cells, part, kind in zip(block, parts, kinds, strict=True):
            part.append(_array(cells, kind))
    whole = {
        name: pd.Series(np.concatenate(part) if part else [], dtype=kind, copy=False)
        for name, part, kind in zip(names, parts, kinds, strict=True)
    }
    return pd.DataFrame(whole, copy=False)


def _array(cells: tuple[Any, ...], kind: str) -> npt.NDArray[Any]:
    if kind in _NUMPY:
        return np.array(cells, dtype=_NUMPY[kind])  # None is NaN
    array = np.empty(len(cells), dtype=np.object_)
    array[:] = cells
    return array


def _blocks(
    connection: Connection, statement: Query, columns: list[ColumnElement[Any]]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows, some at a time, as a tuple for each column of what the driver makes of them.

    SQLAlchemy's own rows cost half as much again as reading them, and only JSON needs what it would do.
    """
    decoders = {at: decode for at, column in enumerate(columns) if (decode := _decoder(connection, column))}
    cursor = connection.execute(statement).cursor
    assert cursor is not None, "a SELECT has one"
    while rows := cursor.fetchmany(_AT_A_TIME):
        block = list(zip(*rows, strict=True))
        for at, decode in decoders.items():
            block[at] = tuple(map(decode, block[at]))
        yield block


def _decoder(connection: Connection, column: ColumnElement[Any]) -> Callable[[Any], Any] | None:
    if not isinstance(column.type, JSON):
        return None
    return column.type.dialect_impl(connection.dialect).result_processor(connection.dialect, None)


def _dtype(column: ColumnElement[Any]) -> str:
    match column.type:
        case Boolean():
            return "bool"
        case Float():
            return "float64"
        case Integer():
            return "Int64" if getattr(column, "nullable", False) else "int64"
        case JSON():
            return "object"
    return "str"
