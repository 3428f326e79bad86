"""Queries as DataFrames whose column types follow from the schema, not from the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import JSON, Boolean, ColumnElement, Connection, Float, Integer, Select

Query: TypeAlias = "Select[*tuple[Any, ...]]"
Cells: TypeAlias = npt.NDArray[np.object_]

_AT_A_TIME = 2_000
"""Rows that are Python's objects at once: as many as stay in a processor's cache until they are numbers."""

_NUMPY = {"float64": np.float64, "int64": np.int64, "bool": np.bool_}


def read_frame(connection: Connection, statement: Query) -> pd.DataFrame:
    """Return a query's rows: text as str, numbers as float64 or int64, integers that may be missing as Int64."""
    columns = list(statement.selected_columns)
    names = [str(column.key) for column in columns]
    kinds = [_dtype(column) for column in columns]
    parts: list[list[npt.NDArray[Any]]] = [[] for _ in columns]
    for cells in _blocks(connection, statement, columns):
        for at, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
            part.append(cells[:, at].astype(_NUMPY[kind]) if kind in _NUMPY else cells[:, at].copy())
    whole = {
        name: pd.Series(np.concatenate(part) if part else [], dtype=kind)
        for name, part, kind in zip(names, parts, kinds, strict=True)
    }
    return pd.DataFrame(whole)


def _blocks(connection: Connection, statement: Query, columns: list[ColumnElement[Any]]) -> Iterator[Cells]:
    """Yield the rows, some at a time, as [N, columns] of what the driver makes of them.

    SQLAlchemy's own rows cost half as much again as reading them, and only JSON needs what it would do.
    """
    decoders = {at: decode for at, column in enumerate(columns) if (decode := _decoder(connection, column))}
    cursor = connection.execute(statement).cursor
    assert cursor is not None, "a SELECT has one"
    while rows := cursor.fetchmany(_AT_A_TIME):
        flat = np.fromiter(chain.from_iterable(rows), dtype=object, count=len(rows) * len(columns))
        cells = flat.reshape(len(rows), len(columns))
        for at, decode in decoders.items():
            decoded = np.empty(len(rows), dtype=object)
            decoded[:] = [decode(cell) for cell in cells[:, at]]
            cells[:, at] = decoded
        yield cells


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
