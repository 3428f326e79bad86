"""The sync service of a simulated phone: STAT, LIST, RECV and SEND, on the memory card and nowhere else.

Every request is four letters, a length and that many bytes of path. A file travels as DATA packets of at most 64 KiB
and a DONE. The client of a phone that announces no features asks for nothing newer.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dpedkit.capture.simulate.adb_wire import ProtocolError, Stream
from dpedkit.capture.simulate.faults import Script

_CHUNK_BYTES = 1 << 16
_MOST_PATH_BYTES = 1024
_NUMBER = struct.Struct("<I")
_STAT = struct.Struct("<III")

CARD_NAMES = re.compile(r"(?<![\w.-])/(?:sdcard|mnt/sdcard|storage/emulated/0|storage/self/primary)(?![\w.-])")
"""Where a phone shows its memory card; the simulated phone has nothing else."""


def host_path(card: Path, device_path: str) -> Path:
    """Return where a file of the phone lies on this machine, with all links and ".." followed.

    Raises:
        FileNotFoundError: the path is not on the memory card.
    """
    match = CARD_NAMES.match(device_path)
    root = card.resolve()
    if match is None:
        raise FileNotFoundError(f"{device_path} is not on the memory card")
    path = (root / device_path[match.end() :].lstrip("/")).resolve()
    if not path.is_relative_to(root):
        raise FileNotFoundError(f"{device_path} leads out of the memory card")
    return path


def serve_sync(stream: Stream, card: Path, faults: Script) -> None:
    """Answer a client's requests until it says QUIT or closes.

    Raises:
        CablePulled: in the middle of a file, as the script says.
        ProtocolError: a request is malformed.
        StreamClosed: the client has gone.
    """
    packets = _Packets(stream)
    handlers: dict[bytes, Callable[[_Packets, Path, str], None]] = {
        b"STAT": _stat,
        b"LIST": _list,
        b"RECV": partial(_recv, faults),
        b"SEND": _send,
    }
    while request := packets.read_request():
        name, path = request
        if name == b"QUIT":
            return
        if name not in handlers:
            raise ProtocolError(f"sync request {name!r}")
        try:
            handlers[name](packets, card, path)
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            packets.write(b"FAIL", str(error).encode())


class _Packets:
    """Sync packets over a stream whose WRTE messages cut them anywhere."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer where the client has closed."""
        while len(self._buffer) < count:
            data = self._stream.read()
            if not data:
                break
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def read_header(self) -> tuple[bytes, int] | None:
        """Return a packet's four letters and number, or None where the client has closed."""
        header = self.read(8)
        return (header[:4], _NUMBER.unpack(header[4:])[0]) if len(header) == 8 else None

    def read_request(self) -> tuple[bytes, str] | None:
        """Return the next request and its path, or None where the client has closed."""
        header = self.read_header()
        if header is None:
            return None
        name, length = header
        if length > _MOST_PATH_BYTES:
            raise ProtocolError(f"a path of {length} bytes")
        return name, self.read(length).decode(errors="surrogateescape")

    def write(self, name: bytes, data: bytes) -> None:
        """Send a packet: four letters, the data's length, the data."""
        self._stream.write(name + _NUMBER.pack(len(data)) + data)

    def write_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._stream.write(data)


def _stat(packets: _Packets, card: Path, path: str) -> None:
    packets.write_raw(b"STAT" + _mode_size_mtime(card, path))


def _mode_size_mtime(card: Path, path: str) -> bytes:
    """Return a file's STAT fields; all zero means that there is none."""
    try:
        status = host_path(card, path).stat()
    except (OSError, ValueError):
        return _STAT.pack(0, 0, 0)
    return _STAT.pack(status.st_mode, status.st_size & 0xFFFFFFFF, int(status.st_mtime) & 0xFFFFFFFF)


def _list(packets: _Packets, card: Path, path: str) -> None:
    try:
        names = sorted(entry.name for entry in host_path(card, path).iterdir())
    except (OSError, ValueError):
        names = []
    entries = bytearray()
    for name in names:
        raw = os.fsencode(name)
        entries += b"DENT" + _mode_size_mtime(card, f"{path}/{name}") + _NUMBER.pack(len(raw)) + raw
    packets.write_raw(bytes(entries) + b"DONE" + _STAT.pack(0, 0, 0) + _NUMBER.pack(0))


def _recv(faults: Script, packets: _Packets, card: Path, path: str) -> None:
    photo = host_path(card, path)
    with photo.open("rb") as file:
        for chunk in faults.tamper(photo, iter(lambda: file.read(_CHUNK_BYTES), b"")):
            packets.write(b"DATA", chunk)
    packets.write(b"DONE", b"")


def _send(packets: _Packets, card: Path, path_and_mode: str) -> None:
    try:
        target = host_path(card, path_and_mode.rpartition(",")[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("wb")
    except (OSError, ValueError):
        _copy_data(packets, len)  # the data are on their way: read past them, so that the client hears why
        raise
    try:
        with file:
            mtime_s = _copy_data(packets, file.write)
    except BaseException:
        target.unlink(missing_ok=True)  # nobody should take half a file for a whole one
        raise
    os.utime(target, (mtime_s, mtime_s))
    packets.write(b"OKAY", b"")


def _copy_data(packets: _Packets, write: Callable[[bytes], int]) -> int:
    """Hand the DATA packets of a SEND to `write`; return the modification time, s, that DONE carries."""
    while header := packets.read_header():
        name, number = header
        if name == b"DONE":
            return number
        if name != b"DATA" or number > _CHUNK_BYTES:
            break
        write(packets.read(number))
    raise ProtocolError("a SEND that did not end with DONE")
