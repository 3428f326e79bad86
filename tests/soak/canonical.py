"""What an index says, whoever filled it and when: rows by what is in them, without numbers of rows and times."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, Table, create_engine, select

_TIME = re.compile(r".*_ns$")
_IMPORT = re.compile(r"import-\d{8}-\d{6}(-\d+)?")
"""Sessions are named by when they began."""


def canonical(root: Path) -> dict[str, list[str]]:
    """Return the rows of each table of a workspace's index, sorted, rows that they name in full."""
    engine = create_engine(f"sqlite:///{root / 'corpus.db'}")
    tables = MetaData()
    tables.reflect(engine)
    try:
        return _rows(engine, tables)
    finally:
        engine.dispose()


def _rows(engine: Engine, tables: MetaData) -> dict[str, list[str]]:
    with engine.connect() as connection:
        content = {
            table: {row.get("id", at): row for at, row in enumerate(connection.execute(select(table)).mappings())}
            for table in tables.sorted_tables
        }

    @cache
    def told(table: Table, number: Any) -> str:
        row = content[table][number]
        words = []
        for column in table.columns:
            if column.name == "id" or _TIME.match(column.name) or row[column.name] is None:
                continue
            value = row[column.name]
            if column.foreign_keys:
                (key,) = column.foreign_keys
                value = told(key.column.table, value)
            words.append(f"{column.name}={_IMPORT.sub('SESSION', str(value))}")
        text = " ".join(words)
        return text if len(text) < 500 else hashlib.sha256(text.encode()).hexdigest()

    return {table.name: sorted(told(table, number) for number in content[table]) for table in tables.sorted_tables}
