"""How a database is reached, and how its refusals are explained.

Reads see one moment of the database. Writes take the one writer's place when they begin (SQLite's BEGIN IMMEDIATE, an
advisory lock in PostgreSQL), so that what they read is still so when they write.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from dpedkit.errors import CorpusError, DpedError, MissingExtra, SettingsError, StorageError

_BUSY_TIMEOUT_S = 60
_CONNECT_TIMEOUT_S = 10
_WRITER_LOCK = 0x64706564  # "dped": any fixed number does, as long as every dpedkit takes the same
_SHARED_ERRORS = 0xFF  # SQLite's extended codes hold the primary one in their low byte


def make_engine(url: str, root: Path) -> Engine:
    """Return an engine for `url`; a relative SQLite file lies in `root`. Nothing is opened yet.

    Raises:
        SettingsError: no such kind of database, or a SQLite URL without a file.
        MissingExtra: the database's driver is not installed.
    """
    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite":
            if address.database in (None, "", ":memory:"):
                raise SettingsError(f"database {url!r} names no file", 'use "sqlite:///corpus.db"')
            engine = create_engine(address.set(database=str(root / str(address.database))))
            event.listen(engine, "connect", _configure_sqlite)
        elif address.get_backend_name() == "postgresql":
            # a review page outlives its server's restarts; a host that is not there is told of in seconds
            engine = create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_TIMEOUT_S})
        else:
            raise SettingsError(f"database {url!r} is neither SQLite nor PostgreSQL", 'use "sqlite:///corpus.db"')
    except ArgumentError as error:
        raise SettingsError(f"database {url!r} is no database URL", 'use "sqlite:///corpus.db"') from error
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "postgres") from error
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection whose queries all see the same moment of the database."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with explained(engine), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine, *, foreign_keys: bool = True) -> Iterator[Connection]:
    """Open a transaction as the one writer; it is committed at the end, or undone as a whole on any exception.

    foreign_keys  False: SQLite does not watch them, as it must not while a table makes way for its successor
    """
    with explained(engine), engine.execution_options(writes=True, unwatched=not foreign_keys).begin() as connection:
        yield connection


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Turn the database's refusals into errors of dpedkit; mistakes in our own SQL stay what they are."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        name = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
        explanation = None
        if isinstance(cause, sqlite3.Error):
            explanation = _explain_sqlite(cause, str(name))
        elif isinstance(error, OperationalError):
            first_line = str(cause).strip().partition("\n")[0]
            explanation = StorageError(f"{name}: {first_line}", "check the server and the `database` setting")
        if explanation is None:
            raise
        raise explanation from error


def _configure_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin in _begin, not whenever sqlite3 thinks fit
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA synchronous = FULL")  # what was committed outlasts a power cut, at an fsync each
    try:
        connection.execute("SELECT ln(1.0)")
    except sqlite3.OperationalError:  # built without https://sqlite.org/lang_mathfunc.html
        connection.create_function("ln", 1, lambda x: math.log(x) if x and x > 0 else None, deterministic=True)


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    writes = options.get("writes", False)
    if connection.dialect.name == "sqlite":
        # in vain once a transaction has begun, https://sqlite.org/pragma.html#pragma_foreign_keys
        connection.exec_driver_sql(f"PRAGMA foreign_keys = {'OFF' if options.get('unwatched') else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def _explain_sqlite(error: sqlite3.Error, path: str) -> DpedError | None:
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _SHARED_ERRORS:
        case sqlite3.SQLITE_FULL:
            return StorageError(
                f"no space left for {path}", "free some space and run the same command again: what was finished is kept"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageError(
                f"{path} was locked by another command for {_BUSY_TIMEOUT_S} s", "wait for it to end, then try again"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return StorageError(f"{path} cannot be opened for writing: {error}", "check its folder's owner and rights")
        case sqlite3.SQLITE_IOERR:
            return StorageError(f"{path}: {error}", "check the disk, then run the same command again")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return CorpusError(
                f"{path} is not a sound database: {error}", "put back a backup (corpus.db.backup-*), or move it away"
            )
    return None
