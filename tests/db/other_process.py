"""What the tests run as another dpedkit process: `python other_process.py JOB ROOT DATABASE [ARGUMENT]`.

It prints a line when it is ready and then waits for one on stdin, so that the test decides when it goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from dpedkit.db import (
    AlignmentRecord,
    Corpus,
    DeviceRecord,
    PatchRecord,
    PhotoRecord,
    SessionRecord,
    ShotRecord,
    open_corpus,
)
from dpedkit.db.engine import make_engine
from dpedkit.db.migrate import upgrade


def wait_for_go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def add_shot(corpus: Corpus, session: str, number: int) -> None:
    key = f"{session}/{number:04d}"
    photos = [
        PhotoRecord(device, f"photos/{key}_{device}.jpg", f"{key} {device}", 1, 1, 1) for device in ("canon", "sony")
    ]
    corpus.store.add_shot(ShotRecord(key, session, number), photos)


def open_at_once(root: Path, database: str) -> None:
    wait_for_go()
    with open_corpus(root, database) as corpus:
        print(len(corpus.shots()))


def upgrade_at_once(root: Path, database: str, migrations: str) -> None:
    wait_for_go()
    engine = make_engine(database, root)
    upgrade(engine, root, Path(migrations))
    engine.dispose()


def write_shots(root: Path, database: str, session: str) -> None:
    with open_corpus(root, database) as corpus:
        wait_for_go()
        corpus.store.add_session(SessionRecord(session, "tripod", 1), DEVICES)
        for number in range(40):
            add_shot(corpus, session, number)


class StuckHalfway(list[PatchRecord]):
    """Hands out half of its patches, then waits: whoever reads it inside a transaction is caught there."""

    def __iter__(self) -> Iterator[PatchRecord]:
        for number, patch in enumerate(super().__iter__()):
            if number == len(self) // 2:
                wait_for_go()
            yield patch


def write_until_killed(root: Path, database: str, stuck: str) -> None:
    """Write shots, alignments and patches without end; `stuck` names the alignment to be caught at."""
    with open_corpus(root, database) as corpus:
        corpus.store.add_session(SessionRecord("s", "tripod", 1), DEVICES)
        number = 0
        while True:
            add_shot(corpus, "s", number)
            shot, key = f"s/{number:04d}", f"a{number}"
            corpus.store.add_alignment(AlignmentRecord(key, f"{shot} sony", f"{shot} canon", "1", "aligned"))
            patches = [PatchRecord(f"{key} {row}", row, row, 0, 100) for row in range(500)]
            corpus.store.replace_patches(key, "cut", "shard", StuckHalfway(patches) if key == stuck else patches)
            number += 1


DEVICES = [DeviceRecord("canon", "dslr"), DeviceRecord("sony", "phone")]

if __name__ == "__main__":
    {job.__name__: job for job in (open_at_once, upgrade_at_once, write_shots, write_until_killed)}[sys.argv[1]](
        Path(sys.argv[2]), *sys.argv[3:]
    )
