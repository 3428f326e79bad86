"""Several dpedkit processes on one corpus, and some that die."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpedkit.db import Corpus
from dpedkit.db.engine import make_engine

PROGRAM = Path(__file__).with_name("other_process.py")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, database: str) -> Iterator[Start]:
    """Starts a job of other_process.py on the corpus in tmp_path."""
    processes: list[subprocess.Popen[str]] = []

    def start(job: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", str(PROGRAM), job, str(tmp_path), database, *arguments]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def values(url: str, root: Path, statement: str) -> list[str]:
    """Return the first column of what a statement finds in a database, as text."""
    engine = make_engine(url, root)
    try:
        with engine.connect() as connection:
            return [str(row[0]) for row in connection.exec_driver_sql(statement)]
    finally:
        engine.dispose()


REVISION = "SELECT version_num FROM alembic_version"


def release(processes: list[subprocess.Popen[str]]) -> None:
    """Wait until all are ready, then let all go at once."""
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()


def test_processes_that_open_a_new_corpus_at_once_all_succeed(start: Start, database: str, tmp_path: Path) -> None:
    processes = [start("open_at_once") for _ in range(3)]
    release(processes)
    assert [process.communicate()[0] for process in processes] == ["0\n"] * 3
    assert values(database, tmp_path, REVISION) == ["0004"]
    if database.startswith("sqlite"):
        assert values(database, tmp_path, "PRAGMA journal_mode") == ["wal"]
    assert list(tmp_path.glob("*backup*")) == []


def test_processes_that_upgrade_a_corpus_at_once_make_one_backup(
    start: Start, new_corpus: Callable[[], Corpus], database: str, newer_migrations: Path, tmp_path: Path
) -> None:
    new_corpus().close()
    processes = [start("upgrade_at_once", str(newer_migrations)) for _ in range(3)]
    release(processes)
    assert [process.wait() for process in processes] == [0] * 3
    assert values(database, tmp_path, REVISION) == ["0005"]
    (backup,) = (found.name for found in tmp_path.glob("*backup*"))
    assert "backup-0004" in backup
    if database.startswith("sqlite"):  # test_postgres.py puts a server's dump back
        assert values(f"sqlite:///{backup}", tmp_path, REVISION) == ["0004"]


def test_two_writers_and_a_reader_do_not_disturb_each_other(start: Start, corpus: Corpus) -> None:
    writers = [start("write_shots", session) for session in ("a", "b")]
    release(writers)
    seen = 0
    while any(process.poll() is None for process in writers):
        photos = corpus.photos()
        assert photos.groupby("shot")["device"].agg(list).map(lambda devices: devices == ["canon", "sony"]).all()
        assert len(photos) >= seen
        seen = len(photos)
    assert [process.returncode for process in writers] == [0, 0]
    assert corpus.shots()["session"].value_counts().to_dict() == {"a": 40, "b": 40}
    assert len(corpus.photos()) == 160


@pytest.mark.parametrize("stuck", ["a0", "a3"])
def test_a_writer_killed_within_a_transaction_leaves_only_whole_ones(
    start: Start, new_corpus: Callable[[], Corpus], stuck: str
) -> None:
    process = start("write_until_killed", stuck)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()
    with new_corpus() as corpus:
        pairs = corpus.pairs().set_index("alignment")
        assert pairs.index[-1] == stuck
        assert pairs["patches_key"].isna().tolist() == [*[False] * (len(pairs) - 1), True]
        assert pairs["patches"].tolist() == [*[500] * (len(pairs) - 1), 0]


def test_a_writer_killed_at_any_moment_leaves_a_sound_corpus(
    start: Start, new_corpus: Callable[[], Corpus], database: str, tmp_path: Path
) -> None:
    for wanted in (0, 2, 5):
        process = start("write_until_killed", "never")
        with new_corpus() as corpus:
            while len(corpus.pairs()) < wanted and process.poll() is None:
                pass
        process.kill()
        process.wait()
        with new_corpus() as corpus:
            pairs = corpus.pairs()
            assert set(pairs["patches"]) <= {0, 500}
            assert (pairs["patches"] == 500).equals(pairs["patches_key"].notna())
            assert len(corpus.photos()) == 2 * len(corpus.shots())
    if database.startswith("sqlite"):
        assert values(database, tmp_path, "PRAGMA integrity_check") == ["ok"]
        assert values(database, tmp_path, "PRAGMA foreign_key_check") == []
