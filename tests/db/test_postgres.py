"""What only a server of a database can do: be away, be restarted, hold two commands of different machines apart."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from postgres_server import NewDatabase
from sqlalchemy import make_url

from dpedkit.db import Corpus, open_corpus
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
