"""Files that are either whole or not there, hashes, and a lock for a folder."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dpedkit.errors import StorageError

_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`.

    On any exception the temporary file is removed and `path` is left as it was. The temporary name starts with
    "." and ends with ".part", so that a leftover of a power cut is known for what it is.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        keep(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # the folder may be gone, or be a file: the first error is the one to tell
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(error, path) from error
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success fsync its files and rename it to `path`.

    On any exception it is removed, and so it is where `path` holds files already: what is there stays. Its name is of
    the kind that `atomic_file` uses.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.mkdir()
        yield temporary
        for file in temporary.iterdir():
            sync(file)
        keep(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise storage_error(error, path) from error


def keep(temporary: Path, path: Path) -> None:
    """Make a temporary file or folder beside `path` into `path`, for good: fsync, rename, fsync of the folder."""
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def locked(lock: Path, doing: str, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock file; it is free again as soon as this process is gone, however it goes.

    shared  others may hold it at the same time, if they share it, too

    Raises:
        StorageError: another process holds it: `doing` says what that one is busy with.
    """
    with lock.open("ab") as stream:
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"another process is {doing}", "wait for it, or stop it") from None
        yield


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a power cut, sees the old file or the whole new one."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def sync(path: Path) -> None:
    """Force a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def allow_open_files(count: int) -> int:
    """Let this process and its children have `count` files open; return how many of them the system lets them have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
        except (OSError, ValueError):  # macOS has a limit below the one that it tells
            return soft
    return count


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def storage_error(error: OSError, path: Path) -> StorageError:
    """Explain an operating system's refusal to read or write `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"no space left for {path}",
            "free some space and run the same command again: what was finished is kept",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(f"{path} cannot be written: {error.strerror}", "check the folder's owner and rights")
    return StorageError(f"{path}: {error.strerror or error}", "check the path and the disk, then run the command again")
