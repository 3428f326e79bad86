"""Opening, creating and upgrading a corpus, and what a database may refuse."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from dpedkit.db import Corpus, open_corpus
from dpedkit.db import engine as engine_module
from dpedkit.db.engine import make_engine, reading
from dpedkit.db.migrate import upgrade
from dpedkit.db.schema import Base
from dpedkit.errors import CorpusError, MissingExtra, SettingsError, StorageError

URL = "sqlite:///corpus.db"


@pytest.fixture
def database() -> str:
    """These tests look into SQLite's own files."""
    return URL


def upgrade_to(root: Path, migrations: Path) -> None:
    engine = make_engine(URL, root)
    try:
        upgrade(engine, root, migrations)
    finally:
        engine.dispose()


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_migrations_make_exactly_the_schema(tmp_path: Path) -> None:
    engine = make_engine(URL, tmp_path)
    upgrade(engine, tmp_path)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_a_new_corpus_needs_no_backup_and_opens_again(tmp_path: Path) -> None:
    for _ in range(2):
        with open_corpus(tmp_path) as corpus:
            assert len(corpus.shots()) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.db"]


def test_an_old_corpus_is_upgraded_after_a_backup(build: Callable, corpus: Corpus, newer_migrations: Path) -> None:
    build.fill(shots=3)
    upgrade_to(corpus.root, newer_migrations)
    backup = corpus.root / "corpus.db.backup-0004"
    assert rows(corpus.root / "corpus.db", "SELECT place FROM shot") == [("here",)] * 3
    assert rows(backup, "SELECT version_num FROM alembic_version") == [("0004",)]
    assert len(rows(backup, "SELECT key FROM patch")) == len(corpus.patches()) == 48
    assert [path.name for path in corpus.root.glob("*backup*")] == [backup.name]


def test_an_upgrade_that_fails_changes_nothing(build: Callable, corpus: Corpus, newer_migrations: Path) -> None:
    build.fill(shots=1)
    with (newer_migrations / "versions" / "r0005_place.py").open("a") as file:
        file.write("    raise RuntimeError('power cut')\n")
    with pytest.raises(RuntimeError, match="power cut"):
        upgrade_to(corpus.root, newer_migrations)
    assert rows(corpus.root / "corpus.db", "SELECT name FROM sqlite_master WHERE name = 'place'") == []
    with open_corpus(corpus.root) as again:
        assert len(again.shots()) == 1


def test_a_corpus_of_a_newer_dpedkit_is_refused_untouched(tmp_path: Path, newer_migrations: Path) -> None:
    upgrade_to(tmp_path, newer_migrations)
    before = (tmp_path / "corpus.db").read_bytes()
    with pytest.raises(CorpusError, match=r"newer dpedkit \(revision 0005; .* up to 0004\)"):
        open_corpus(tmp_path)
    assert (tmp_path / "corpus.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "corpus.db").write_text("holiday notes, not a database " * 100)
    with pytest.raises(CorpusError, match="not a sound database"):
        open_corpus(tmp_path)
    assert (tmp_path / "corpus.db").read_text().startswith("holiday")


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "corpus.db")) as connection:
        connection.execute("CREATE TABLE bookmarks (id INTEGER)")
    with pytest.raises(CorpusError, match="another program: bookmarks"):
        open_corpus(tmp_path)


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"corpus\.db"):
        open_corpus(tmp_path / "missing")


@pytest.mark.parametrize("url", ["sqlite://", "mysql://host/db", "rubbish", "sqlite:///:memory:"])
def test_a_url_of_no_usable_database_is_a_settings_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="database"):
        open_corpus(tmp_path, url)


def test_a_server_that_cannot_be_reached_or_has_no_driver_is_explained(tmp_path: Path) -> None:
    with pytest.raises((MissingExtra, StorageError)) as caught:
        open_corpus(tmp_path, "postgresql+psycopg://user:secret@127.0.0.1:1/corpus")
    assert "secret" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("pragma", "message"),
    [("max_page_count = 1", "no space left"), ("query_only = ON", "cannot be opened for writing")],
)
def test_a_database_that_cannot_be_written_is_a_storage_error_and_keeps_what_it_has(
    build: Callable, corpus: Corpus, pragma: str, message: str
) -> None:
    build.fill(shots=1)
    before = corpus.patches()
    corpus.close()
    event.listen(corpus._engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))
    with pytest.raises(StorageError, match=message):
        build.patches(before["alignment"][0], range(100, 1000))
    assert corpus.patches().equals(before)


def test_a_database_locked_by_another_command_is_a_storage_error(
    build: Callable, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_BUSY_TIMEOUT_S", 0)
    with closing(sqlite3.connect(corpus.root / "corpus.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        corpus.close()
        with pytest.raises(StorageError, match="locked by another command"):
            build.session()
        assert len(corpus.shots()) == 0  # reading goes on
    build.session()


def test_every_table_can_be_made_in_postgresql() -> None:
    for table in Base.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
