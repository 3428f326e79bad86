"""The photos and pairs that a query names: which columns it may ask for, how many there are, one page of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Label, SQLColumnExpression, func, tuple_

from dpedkit.db import queries
from dpedkit.db.filters import Fields, condition
from dpedkit.db.frames import Query
from dpedkit.errors import UsageError
from dpedkit.settings import nearest

Rows = tuple[Query, Fields]


def photo_rows() -> Rows:
    """Return the query of all photos, and what may be asked of them."""
    statement = queries.photos()
    return statement, Fields(columns_of(statement))


def pair_rows() -> Rows:
    """Return the query of all pairs, and what may be asked of them."""
    statement = queries.pairs()
    return statement, Fields(columns_of(statement), "pair", queries.PAIR_KEY, queries.PAIR_IDS)


def columns_of(statement: Query) -> dict[str, SQLColumnExpression[Any]]:
    """Return what a statement selects, by name."""
    return {
        str(column.key): column.element if isinstance(column, Label) else column
        for column in statement.selected_columns
    }


def chosen(rows: Rows, where: str, order: str = "", limit: int | None = None, offset: int = 0) -> Query:
    """Narrow the query of `rows`.

    order  a column, "-" before it for the largest first; rows where it is missing come last

    Raises:
        QueryError: `where` cannot be read or asks for what is not there.
        UsageError: no such column to order by.
    """
    statement, fields = rows
    if where.strip():
        statement = statement.where(condition(where, fields))
    if order:
        name = order.removeprefix("-")
        if name not in fields.kinds():
            raise UsageError(f"no column {name!r} to order by{nearest(name, fields.kinds())}", "")
        column = fields.columns[name]
        otherwise = statement._order_by_clauses
        by = (column.is_(None), column.desc() if order.startswith("-") else column)
        statement = statement.order_by(None).order_by(*by, *otherwise)
    paged = statement.limit(limit).offset(offset or None)
    if limit is None or not fields.ids:
        return paged
    # what is shown of a row is only looked up for those of the page
    page = paged.with_only_columns(*fields.ids).correlate(None)
    return statement.where(tuple_(*fields.ids).in_(page))


def count(connection: Connection, rows: Rows, where: str) -> int:
    """Return how many rows a query finds; raises as `chosen` does."""
    found = chosen(rows, where).order_by(None).with_only_columns(func.count())
    return int(connection.execute(found).scalar_one())


def tally(connection: Connection, rows: Rows, where: str, column: str) -> dict[Any, int]:
    """Return how many rows a query finds by their value in one column, None for those without; raises as `chosen`."""
    value = rows[1].columns[column]
    found = chosen(rows, where).order_by(None).with_only_columns(value, func.count()).group_by(value)
    return {row[0]: int(row[1]) for row in connection.execute(found)}
