"""Write records so that writing them twice is the same as once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from dpedkit.db.schema import Base

Row = Mapping[str, Any]


def upsert(connection: Connection, table: type[Base], key: Sequence[str], rows: Sequence[Row], keep: str = "") -> None:
    """Insert `rows`, or overwrite those whose `key` columns are there already, but for their ids and column `keep`."""
    if not rows:
        return
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    insert = dialect.insert(table)
    others = {column: insert.excluded[column] for column in rows[0] if column not in (*key, keep)}
    if others:
        statement = insert.on_conflict_do_update(index_elements=key, set_=others)
    else:
        statement = insert.on_conflict_do_nothing(index_elements=key)
    connection.execute(statement, list(rows))


def row_of(record: object, *but: str, **more: object) -> Row:
    """Return a record's fields, but those named in `but`, and `more`, as plain values of Python."""
    names = [field.name for field in fields(record) if field.name not in but]  # type: ignore[arg-type]
    return {name: _plain(getattr(record, name)) for name in names} | more


def _plain(value: object) -> object:
    """NumPy's scalars are foreign to a database, and SQLite has no NaN."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if value != value else value  # noqa: PLR0124  (only NaN differs from itself)
