"""Queries as DataFrames whose column types follow from the schema, not from the data."""

from __future__ import annotations

from typing import Any, TypeAlias

import pandas as pd
from sqlalchemy import JSON, Boolean, ColumnElement, Connection, Float, Integer, Select

Query: TypeAlias = "Select[*tuple[Any, ...]]"


def read_frame(connection: Connection, statement: Query) -> pd.DataFrame:
    """Return a query's rows: text as str, numbers as float64 or int64, integers that may be missing as Int64."""
    columns = list(statement.selected_columns)
    rows = connection.execute(statement).all()
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pd.DataFrame(
        {
            column.key: pd.Series(list(cells), dtype=_dtype(column))
            for column, cells in zip(columns, values, strict=True)
        }
    )


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
