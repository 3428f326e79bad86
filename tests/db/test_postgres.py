"""What only a server of a database can do: be away, be restarted, hold two commands of different machines apart."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from postgres_server import NewDatabase, program
from sqlalchemy import make_url

from dpedkit.db import Corpus, open_corpus
from dpedkit.db.engine import make_engine
from dpedkit.db.migrate import upgrade
from dpedkit.errors import StorageError


@pytest.fixture
def database(new_postgres: NewDatabase) -> str:
    return new_postgres()


def end_connections(url: str) -> None:
    """End every other connection to a database, as a restart of its server does."""
    address = make_url(url).set(drivername="postgresql")
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )


def test_a_server_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql+psycopg://rig:swordfish@127.0.0.1:{port}/corpus"
    with pytest.raises(StorageError, match=f"127.0.0.1:{port}/corpus: .*refused") as caught:
        open_corpus(tmp_path, url)
    assert "swordfish" not in str(caught.value)
    assert caught.value.remedy == "check the server and the `database` setting"


def test_a_database_that_is_not_there_is_named(database: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match='database "nowhere" does not exist'):
        open_corpus(tmp_path, database.rpartition("/")[0] + "/nowhere")


def test_an_open_corpus_outlives_a_restart_of_its_server(build: Callable, corpus: Corpus, database: str) -> None:
    build.fill(shots=1)
    end_connections(database)
    assert len(corpus.pairs()) == 2


def test_a_database_of_another_program_is_left_alone(database: str, tmp_path: Path) -> None:
    address = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE holiday (place text)")
    with pytest.raises(Exception, match="tables of another program: holiday"):
        open_corpus(tmp_path, database)


def upgrade_to(migrations: Path, url: str, folder: Path) -> None:
    engine = make_engine(url, folder)
    try:
        upgrade(engine, folder, migrations)
    finally:
        engine.dispose()


def test_an_old_corpus_is_upgraded_after_a_dump_that_can_be_put_back(
    build: Callable,
    corpus: Corpus,
    database: str,
    new_postgres: NewDatabase,
    newer_migrations: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    build.fill(shots=3)
    dump, restore = program("pg_dump"), program("pg_restore")
    assert dump is not None
    assert restore is not None
    monkeypatch.setenv("PATH", f"{dump.parent}{os.pathsep}{os.environ['PATH']}")
    upgrade_to(newer_migrations, database, tmp_path)
    (backup,) = tmp_path.glob("*backup*")
    assert backup.name == f"{make_url(database).database}.backup-0004.dump"
    other = new_postgres()
    address = make_url(other).set(drivername="postgresql").render_as_string()
    subprocess.run([restore, "--exit-on-error", f"--dbname={address}", backup], check=True)
    with open_corpus(tmp_path, other) as old:
        assert old.patches().equals(corpus.patches())
        assert len(old.patches()) == 48
        old.store.assign_splits(seed=0)


def test_a_corpus_that_cannot_be_dumped_is_not_upgraded(
    corpus: Corpus, database: str, newer_migrations: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="could not be backed up: pg_dump is not installed") as caught:
        upgrade_to(newer_migrations, database, tmp_path)
    assert "client programs" in caught.value.remedy
    assert list(tmp_path.glob("*backup*")) == []
    with open_corpus(tmp_path, database) as same:
        assert same.shots().empty
