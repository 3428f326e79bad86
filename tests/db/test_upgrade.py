"""A corpus that an older dpedkit wrote keeps everything it holds."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dpedkit.db import Corpus, open_corpus
from dpedkit.db.engine import make_engine
from dpedkit.db.migrate import MIGRATIONS, upgrade
from dpedkit.errors import CorpusError

FRAMES = ("sessions", "shots", "photos", "pairs", "patches", "runs", "scores")


def write_as(revision: str, source: Path, root: Path) -> None:
    """Make the corpus of `root` at an old revision and copy into it what it can hold of the database `source`."""
    versions = root / "migrations" / "versions"
    shutil.copytree(MIGRATIONS / "versions", versions, ignore=shutil.ignore_patterns("__pycache__"))
    for path in versions.glob("r*.py"):
        if path.name[1:5] > revision:
            path.unlink()
    engine = make_engine("sqlite:///corpus.db", root)
    upgrade(engine, root, versions.parent)
    engine.dispose()
    with closing(sqlite3.connect(root / "corpus.db")) as connection:
        connection.execute("ATTACH ? AS new", (str(source),))
        for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            if table != "alembic_version":
                columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})"))
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
        connection.commit()


@pytest.fixture
def database() -> str:
    """These tests look into SQLite's own files."""
    return "sqlite:///corpus.db"


@pytest.fixture
def old(build: Callable, corpus: Corpus, tmp_path: Path) -> Path:
    """A workspace of revision 0001 that holds what `corpus` holds: shots, photos, patches, splits, a snapshot."""
    build.fill(shots=5)
    corpus.store.assign_splits(seed=0)
    corpus.store.freeze("sony", "train")
    corpus.close()
    root = tmp_path / "old"
    write_as("0001", tmp_path / "corpus.db", root)
    return root


def test_a_corpus_of_the_first_schema_reads_the_same_after_its_upgrade(old: Path, corpus: Corpus) -> None:
    with open_corpus(old) as upgraded:
        for frame in FRAMES:
            assert getattr(upgraded, frame)().equals(getattr(corpus, frame)()), frame
        assert set(upgraded.photos()["format"]) == {"jpg"}
        assert upgraded.counts() == corpus.counts()
    with closing(sqlite3.connect(old / "corpus.db")) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(sqlite3.connect(old / "corpus.db.backup-0001")) as connection:
        assert connection.execute("SELECT count(*) FROM photo").fetchone() == (15,)


def test_an_upgraded_corpus_still_watches_its_references(old: Path) -> None:
    with open_corpus(old) as upgraded:
        writer = upgraded._engine
        with pytest.raises(Exception, match="FOREIGN KEY"), writer.begin() as connection:
            connection.exec_driver_sql("DELETE FROM photo")
        assert len(upgraded.photos()) == 15


def test_a_corpus_with_rows_that_point_nowhere_is_left_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old / "corpus.db")) as connection:
        connection.execute("DELETE FROM shot WHERE number = 3")
        connection.commit()
    with pytest.raises(CorpusError, match=r"point nowhere, in: photo, split"):
        open_corpus(old)
    with closing(sqlite3.connect(old / "corpus.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert "format" not in {row[1] for row in connection.execute("PRAGMA table_info(photo)")}


def test_alignments_and_patches_of_the_second_schema_keep_their_rows_and_their_meaning(
    build: Callable, corpus: Corpus, tmp_path: Path
) -> None:
    build.fill(shots=2)
    corpus.close()
    root = tmp_path / "second"
    write_as("0002", tmp_path / "corpus.db", root)
    with open_corpus(root) as upgraded:
        assert len(upgraded.patches()) == 32
        assert set(upgraded.patches()["match"]) == {"none"}
        assert upgraded.patches()[["shift_x_px", "gain_red", "confidence"]].isna().all(axis=None)
        assert set(upgraded.pairs()["mode"]) == {"field"}
        assert upgraded.pairs()[["trusted_share", "gates", "tone"]].isna().all(axis=None)
        assert upgraded.lenses().empty
    assert (root / "corpus.db.backup-0002").is_file()
