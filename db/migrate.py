"""Bring a database to the schema this version of dpedkit knows.

Revisions are files in migrations/versions, rNNNN_*.py by their number, run in order inside one transaction: a database
is at one revision or the next, never between.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect

from dpedkit.db.engine import explained, reading, writing
from dpedkit.db.schema import Base
from dpedkit.errors import CorpusError, StorageError
from dpedkit.files import atomic_file

if TYPE_CHECKING:  # imported where a database is upgraded: every other command does without that fifth of a second
    from alembic.migration import MigrationContext

MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(engine: Engine, folder: Path, migrations: Path = MIGRATIONS) -> None:
    """Create the tables of an empty database, or upgrade an older one after a backup.

    folder  where the backup of a PostgreSQL database goes; a SQLite file's lies beside it

    Processes that open the same database at once take turns; the first does the work.

    Raises:
        CorpusError: the database is of a newer dpedkit or another program, or not sound.
        StorageError: it cannot be read or written, or not be backed up.
    """
    known = sorted(path.stem[1:5] for path in (migrations / "versions").glob("r[0-9]*.py"))
    with reading(engine) as connection:
        found = _revision(connection, known)
    if found != known[-1]:
        with writing(engine, foreign_keys=False) as connection:
            found = _revision(connection, known)  # another process may have been here first
            if found not in (None, known[-1]):
                back_up = _copy if engine.dialect.name == "sqlite" else _dump
                back_up(engine, str(found), folder)
            _run(connection, migrations)
            if engine.dialect.name == "postgresql":
                _order_text_by_code_points(connection)
            _check_references(connection)
    if engine.dialect.name == "sqlite":
        _use_wal(engine)


def _revision(connection: Connection, known: Sequence[str]) -> str | None:
    """Return the database's revision, None for an empty one."""
    name = connection.engine.url.database
    tables = inspect(connection).get_table_names()
    found = None
    if "alembic_version" in tables:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found is None and tables:
        raise CorpusError(
            f"{name} holds tables of another program: {', '.join(sorted(tables)[:3])}",
            "move it away, or name another `database` in dpedkit.toml",
        )
    if found is not None and found not in known:
        raise CorpusError(
            f"{name} was written by a newer dpedkit (revision {found}; this one knows up to {known[-1]})",
            "upgrade dpedkit, or put back a backup (*.backup-*)",
        )
    return found


def _run(connection: Connection, migrations: Path) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(migrations)

    def missing(revision: str, _context: MigrationContext) -> list[object]:
        return list(script._upgrade_revs("head", revision))  # as in the manual of EnvironmentContext

    with EnvironmentContext(Config(), script, fn=missing) as environment:
        environment.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
        environment.run_migrations()


def _order_text_by_code_points(connection: Connection) -> None:
    """Sort text as SQLite and Python do, whatever the server's language: rows come in the same order everywhere."""
    columns = connection.exec_driver_sql(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type = 'character varying' AND collation_name IS NULL"
    ).all()
    quote = connection.dialect.identifier_preparer.quote
    for table, column in columns:
        connection.exec_driver_sql(f'ALTER TABLE {quote(table)} ALTER COLUMN {quote(column)} TYPE varchar COLLATE "C"')


def _check_references(connection: Connection) -> None:
    """Undo an upgrade that would leave a row pointing nowhere."""
    if connection.dialect.name != "sqlite":
        return  # watched all the time there
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        tables = ", ".join(sorted({row[0] for row in broken}))
        raise CorpusError(
            f"{connection.engine.url.database} has rows that point nowhere, in: {tables}",
            "nothing was changed; put back a backup (*.backup-*)",
        )


def _copy(engine: Engine, revision: str, _folder: Path) -> None:
    database = Path(str(engine.url.database))
    backup = database.with_name(f"{database.name}.backup-{revision}")
    with (
        explained(engine),
        atomic_file(backup) as temporary,
        closing(sqlite3.connect(database)) as source,
        closing(sqlite3.connect(temporary)) as target,
    ):
        source.backup(target)


def _dump(engine: Engine, revision: str, folder: Path) -> None:
    """Let PostgreSQL's own program write a dump; writers wait meanwhile, for this process has their lock."""
    url = engine.url
    name = f"{url.database}.backup-{revision}.dump"
    address = url.set(drivername="postgresql", password=None).render_as_string()
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    with atomic_file(folder / name) as temporary:
        words = ["pg_dump", "--format=custom", f"--file={temporary}", f"--dbname={address}"]
        try:
            done = subprocess.run(words, env=os.environ | secret, capture_output=True, text=True, check=False)
            failed = done.returncode and (done.stderr.strip().splitlines() or ["it failed"])[0]
        except FileNotFoundError:
            failed = "pg_dump is not installed"
        if failed:
            raise StorageError(
                f"{url.database} is not upgraded, for it could not be backed up: {failed}",
                "install PostgreSQL's client programs, of the server's version or newer, and run the command again",
            )


def _use_wal(engine: Engine) -> None:
    """Let readers and the writer work side by side; the mode stays with the file."""
    with explained(engine), closing(sqlite3.connect(str(engine.url.database))) as connection:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            # another process is switching it at this moment
