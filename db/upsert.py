"""Write records so that writing them twice is the same as once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import Connection, Executable
from sqlalchemy.dialects import postgresql, sqlite

from dpedkit.db.schema import Base

Row = Mapping[str, Any]


def upsert(connection: Connection, table: type[Base], key: Sequence[str], rows: Sequence[Row], keep: str = "") -> None:
    """Insert `rows`, or overwrite those whose `key` columns are there already, but for their ids and column `keep`."""
    if rows:
        statement = _statement(connection.dialect.name, table, tuple(key), tuple(rows[0]), keep)
        connection.execute(statement, list(rows))


@cache  # building one takes longer than running it
def _statement(
    dialect: str, table: type[Base], key: tuple[str, ...], columns: tuple[str, ...], keep: str
) -> Executable:
    insert: Any = {"sqlite": sqlite, "postgresql": postgresql}[dialect].insert(table)
    others = {column: insert.excluded[column] for column in columns if column not in (*key, keep)}
    statement: Executable = (
        insert.on_conflict_do_update(index_elements=key, set_=others)
        if others
        else insert.on_conflict_do_nothing(index_elements=key)
    )
    return statement


def row_of(record: object, *but: str, **more: object) -> Row:
    """Return a record's fields, but those named in `but`, and `more`, as plain values of Python."""
    names = [field.name for field in fields(record) if field.name not in but]  # type: ignore[arg-type]
    return {name: _plain(getattr(record, name)) for name in names} | more


def _plain(value: object) -> object:
    """NumPy's scalars are foreign to a database, and SQLite has no NaN."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if value != value else value  # noqa: PLR0124  (only NaN differs from itself)
