"""Copies of a phone's photos: their bytes, piece by piece, and whether they are what the phone announced."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.adb_streams import Stream
from dpedkit.capture.drivers.adb_sync import SyncClient
from dpedkit.errors import CameraError, PullFailed
from dpedkit.files import storage_error

_CHECKSUM = re.compile(r"\\?([0-9a-f]{64}|[0-9a-f]{32})\b")

Talking = Callable[[str], AbstractContextManager[object]]


def pull(
    talking: Talking, open_stream: Callable[[str], Stream], photo: CameraFile, into: Path, timeout_s: float
) -> Iterator[int]:
    """Copy a photo's bytes into the file `into`; yield after each piece how many have come.

    The phone sums while it sends. Between two pieces other streams may be used. Left early, or failed, it takes the
    unfinished file away.

    talking  a context that turns what goes wrong with the phone into CameraError; entered for each piece anew

    Raises:
        PullFailed: the transfer broke off, or the bytes are not what the phone announced.
        StorageError: this computer's disk does not take them.
    """
    summing: Stream | None = None
    pieces: Iterator[memoryview] = iter(())
    arrived = hashlib.sha256()
    whole = False
    try:
        with talking(f"sending {photo.path}"):
            quoted = shlex.quote(photo.path)
            summing = open_stream(f"shell:sha256sum {quoted} 2>/dev/null || md5sum {quoted}")
            pieces = SyncClient(open_stream).receive(photo.path)
        with into.open("wb") as copy:  # a full disk is no failure of the phone: not under `talking`
            size_bytes = 0
            while True:
                with talking(f"sending {photo.path}"):
                    piece = next(pieces, None)
                if not piece:
                    break
                arrived.update(piece)  # the phone reads the next one meanwhile
                size_bytes += copy.write(piece)
                if size_bytes > photo.size_bytes:
                    break
                yield size_bytes
        with talking(f"summing {photo.path}"):
            said = summing.read_all(timeout_s).decode(errors="replace")
        _verify(photo, into, arrived.hexdigest(), said)
        whole = True
    except CameraError as error:
        raise PullFailed(error.cause, "it is still on the phone: run the same command again") from error
    except OSError as error:
        raise storage_error(error, into) from error
    finally:
        # Whoever left early may have closed the connection, too.
        with suppress(CameraError), talking(f"leaving {photo.path}"):
            if isinstance(pieces, Generator):
                pieces.close()
            if summing:
                summing.close()
        if not whole:
            into.unlink(missing_ok=True)


def _verify(photo: CameraFile, copy: Path, sha256: str, said: str) -> None:
    """Compare a copy with what the phone said: its size, and its checksum where the phone has a tool for that."""
    size_bytes = copy.stat().st_size
    if size_bytes != photo.size_bytes:
        raise CameraError(f"{photo.path} has {photo.size_bytes} bytes, {size_bytes} arrived")
    checksum = _CHECKSUM.match(said.strip())
    if checksum is None:
        return
    if len(checksum[1]) == len(sha256):
        method, found = "sha256", sha256
    else:  # an old phone's
        with copy.open("rb") as stream:
            method, found = "md5", hashlib.file_digest(stream, "md5").hexdigest()
    if found != checksum[1]:
        raise CameraError(f"{photo.path} arrived damaged: its {method} is not what the phone says")
