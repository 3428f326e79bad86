"""One file of an import, in a worker: read once, copied, hashed and looked at."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dpedkit.errors import ImageError, MissingExtra, StorageError
from dpedkit.files import sha256_file, storage_error, sync
from dpedkit.images import PhotoMeta, read_meta, read_photo
from dpedkit.measures import Measures, measure
from dpedkit.raw import is_raw

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TakeIn:
    """A file to bring in, for a worker process.

    staged      where its copy goes until it is recorded; None: it is only hashed
    held        SHA-256 of what the corpus holds from a file of this path and size; "" for none
    link        a hard link instead of a copy
    is_picture  it is the one that pairs are made of: it is decoded, so that its damage is seen
    """

    path: Path
    staged: Path | None
    held: str
    link: bool
    is_picture: bool
    limit_px: int

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What a worker gives back.

    staged    where the copy lies; None: there is none, the file is known or was only to be hashed
    meta      None for a RAW file that is no picture, and nothing that reads it
    measures  of a picture
    """

    sha256: str
    size_bytes: int
    staged: Path | None = None
    meta: PhotoMeta | None = None
    measures: Measures | None = None


def take_in(job: TakeIn) -> TakenIn:
    """Copy and hash a file in one reading, then look at the copy; what is known already is hashed only.

    Raises:
        ImageError: it cannot be read as a photo; the copy is gone.
        StorageError: the disk is full, or a hard link cannot be made.
    """
    try:
        if job.staged is None or job.held:
            sha256 = sha256_file(job.path)
            if job.staged is None or sha256 == job.held:
                return TakenIn(sha256, job.path.stat().st_size)
        sha256 = _linked(job.path, job.staged) if job.link else _copied(job.path, job.staged)
    except FileNotFoundError as error:
        raise ImageError(f"{job.path}: no such file", "put it back, or correct its path") from error
    except OSError as error:
        raise storage_error(error, job.staged or job.path) from error
    try:
        return TakenIn(sha256, job.staged.stat().st_size, job.staged, *_look(job, job.staged))
    except ImageError as error:
        job.staged.unlink()
        raise type(error)(error.cause.replace(str(job.staged), str(job.path)), error.remedy) from None
    except MissingExtra:
        job.staged.unlink()
        raise


def _look(job: TakeIn, copy: Path) -> tuple[PhotoMeta | None, Measures | None]:
    if job.is_picture:
        photo = read_photo(copy, limit_px=job.limit_px)
        return photo.meta, measure(photo.rgb)
    try:
        return read_meta(copy, limit_px=job.limit_px), None
    except MissingExtra:
        if is_raw(copy):
            return None, None
        raise


def _copied(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as stream, target.open("wb") as copy:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
    sync(target)
    return digest.hexdigest()


def _linked(source: Path, target: Path) -> str:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        raise StorageError(
            f"{source} cannot be hard-linked into the workspace: {error.strerror}",
            "links work on one file system only: leave --link out",
        ) from error
    return sha256_file(target)
