"""The folder that an export is made in: hidden beside its target, so that a killed one goes on, and whole at the end.

.NAME.part/stamp          hash of what was asked for; anything else starts anew
.NAME.part/lock           held while a command works on it
.NAME.part/sums/BATCH     what a finished batch wrote: a line of SHA-256, bytes and path for each file
.NAME.part/files/         what will be NAME
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpedkit.files import keep, locked, storage_error, write_atomic

SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Written:
    """One file of an export; `path` is relative to its folder, with forward slashes."""

    sha256: str
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An export that is being made, in `root`."""

    root: Path

    @property
    def files(self) -> Path:
        """What will be the exported folder."""
        return self.root / "files"

    def write(self, path: str, data: bytes) -> Written:
        """Write a file of the export.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        target = self.files / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        except OSError as error:
            raise storage_error(error, target) from error
        return Written(hashlib.sha256(data).hexdigest(), len(data), path)

    def write_lines(self, path: str, lines: Iterable[str]) -> Written:
        """Write a text file of the export, line by line; raises as `write` does."""
        target = self.files / path
        digest, size_bytes = hashlib.sha256(), 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                for line in lines:
                    data = f"{line}\n".encode()
                    stream.write(data)
                    digest.update(data)
                    size_bytes += len(data)
        except OSError as error:
            raise storage_error(error, target) from error
        return Written(digest.hexdigest(), size_bytes, path)

    def note(self, batch: str, written: Iterable[Written]) -> None:
        """Note that a batch is finished, and what it wrote."""
        text = "".join(f"{file.sha256} {file.size_bytes} {file.path}\n" for file in written)
        write_atomic(self.root / "sums" / batch, text.encode())

    def noted(self, batch: str) -> list[Written]:
        """Return what a finished batch wrote; empty: it is not finished, or a file is not what was noted."""
        try:
            lines = (self.root / "sums" / batch).read_text(encoding="utf-8").splitlines()
            found = [Written(sha, int(size), path) for sha, size, path in (line.split(" ", 2) for line in lines)]
            if all((self.files / file.path).stat().st_size == file.size_bytes for file in found):
                return found
        except (OSError, ValueError):
            pass
        return []

    def finish(self, target: Path, batches: Iterable[str], others: Iterable[Written]) -> list[Written]:
        """Write the checksums of all files, bring everything to the disk, and make the folder into `target`.

        others  what was written beside the batches
        """
        every = sorted(
            [*others, *(file for batch in batches for file in self.noted(batch))], key=lambda file: file.path
        )
        every.append(self.write_lines(SUMS, (f"{file.sha256}  {file.path}" for file in every)))
        os.sync()  # one by one, a hundred thousand small files would take minutes
        try:
            keep(self.files, target)
        except OSError as error:
            raise storage_error(error, target) from error
        return every


def part_of(target: Path) -> Path:
    """Return the folder that an export to `target` is made in; once it is finished, all there may be is its lock."""
    return target.with_name(f".{target.name}.part")


@contextmanager
def unfinished(target: Path, stamp: str) -> Iterator[Unfinished]:
    """Yield the folder that an export is made in, with what a killed one of the same stamp left; gone once finished.

    Raises:
        StorageError: the disk is full, the folder cannot be written, or another command is at it.
    """
    root = part_of(target)
    mark = root / "stamp"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / "lock", f"exporting to {target}"):
            if not mark.is_file() or mark.read_text(encoding="utf-8") != stamp:
                for folder in ("files", "sums"):
                    shutil.rmtree(root / folder, ignore_errors=True)
                write_atomic(mark, stamp.encode())
            for folder in ("files", "sums"):
                (root / folder).mkdir(exist_ok=True)
            yield Unfinished(root)
            if not (root / "files").exists():
                shutil.rmtree(root)
    except OSError as error:
        raise storage_error(error, root) from error
