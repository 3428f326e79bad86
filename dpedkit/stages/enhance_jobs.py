"""A photo that is to be enhanced for a visitor, what visitors may ask for, and whose turn it is."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dpedkit.errors import StorageError
from dpedkit.files import locked, storage_error
from dpedkit.stages.uploads import Upload

State = Literal["waiting", "working", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Limits:
    """What visitors may ask for.

    photo_bytes, photo_px    of one photo
    waiting, all_waiting     photos that are not done, of one visitor and of all
    kept_bytes, kept_s       what is kept on the disk, and for how long; who is done longest makes room
    look_s, work_s           what looking at a photo and enhancing it may take
    """

    photo_bytes: int = 100_000_000
    photo_px: int = 60_000_000
    waiting: int = 100
    all_waiting: int = 1000
    kept_bytes: int = 8_000_000_000
    kept_s: float = 6 * 3600
    look_s: float = 60
    work_s: float = 3600


@dataclass(slots=True)
class Job:
    """One photo of a visitor.

    id            nobody can guess it
    size          width and height, px, once it was looked at
    cause, remedy of what failed;  stamp  what must stand beside the result
    """

    id: str
    visitor: str
    upload: Upload
    model: str
    state: State = "waiting"
    size: tuple[int, int] = (0, 0)
    cause: str = ""
    remedy: str = ""
    stamp: str = ""
    bytes: int = 0
    ended: float = 0.0
    future: Future[str] | None = field(default=None, repr=False)


def in_turn(jobs: Iterable[Job], visitors: Sequence[str]) -> list[Job]:
    """Return the photos that wait, in the order in which their turn comes: of each visitor one, then of each the next.

    jobs      all, oldest first
    visitors  who comes first is served first
    """
    waiting: dict[str, list[Job]] = {visitor: [] for visitor in visitors}
    for job in jobs:
        if job.state == "waiting":
            waiting[job.visitor].append(job)
    most = max(map(len, waiting.values()), default=0)
    return [mine[turn] for turn in range(most) for mine in waiting.values() if turn < len(mine)]


def size_bytes(folder: Path) -> int:
    """Return what the files directly in a folder take; 0 of one that is gone."""
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir())
    return 0


def delete_folder(folder: Path) -> None:
    """Delete a folder in which a called-off worker may still be writing: under another name it finds it no more.

    What would be deleted where it stands could get a new file meanwhile, and stay.
    """
    gone = folder.with_name(f"{folder.name}.gone")
    with suppress(OSError):
        folder.replace(gone)
    shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """Make a folder below `folder` that is gone at the end; what servers that were killed left there goes, too."""
    own = folder / secrets.token_hex(8)
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(_lock(own), "serving pages"))
            held.callback(_lock(own).unlink)
            for left in folder.glob("*.lock"):
                with suppress(StorageError), locked(left, "serving pages"):
                    shutil.rmtree(left.with_suffix(""), ignore_errors=True)
                    left.unlink()
            own.mkdir()
        except OSError as error:
            raise storage_error(error, folder) from error
        held.callback(shutil.rmtree, own, ignore_errors=True)
        yield own


def _lock(own: Path) -> Path:
    return own.with_suffix(".lock")
