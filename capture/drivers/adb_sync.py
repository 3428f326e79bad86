"""The phone's file service: what is in a folder, how a file stands, and its bytes.

A request is four letters, a length and a path; the answers are cut anywhere by the messages that carry them.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from dpedkit.capture.drivers.adb_streams import Stream, StreamEnded

_HEAD = struct.Struct("<4sI")
_STAT = struct.Struct("<4sIII")
_DENT = struct.Struct("<4sIIII")
_MOST_PACKET_BYTES = 1 << 20  # the protocol's own limit is 64 KiB


class SyncRefused(Exception):
    """The phone says why it does not give a file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the phone; mode 0 where there is none."""

    name: str
    mode: int
    size_bytes: int
    written_s: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a file, no link or device."""
        return stat.S_ISREG(self.mode)


class SyncClient:
    """Asks for folders and files over one stream that stays open: a question takes one round trip.

    open_stream  starts a service of the phone
    """

    def __init__(self, open_stream: Callable[[str], Stream]) -> None:
        self._open_stream = open_stream
        self._conversation: _Conversation | None = None

    def list_folder(self, folder: str) -> list[Entry]:
        """Return what is in a folder, but for "." and ".."; nothing where there is no such folder."""
        head = self._ask(b"LIST", folder, _DENT.size)
        assert self._conversation is not None
        conversation = self._conversation
        entries: list[Entry] = []
        while True:
            name, mode, size, written_s, length = _DENT.unpack(head)
            if name == b"DONE":
                return entries
            _expect(name, b"DENT")
            shown = bytes(conversation.take(length)).decode(errors="surrogateescape")
            entry = Entry(shown, mode, size, written_s)
            if entry.name not in {".", ".."}:
                entries.append(entry)
            head = conversation.take(_DENT.size)

    def stat(self, path: str) -> Entry:
        """Return how a file or folder stands."""
        name, mode, size, written_s = _STAT.unpack(self._ask(b"STAT", path, _STAT.size))
        _expect(name, b"STAT")
        return Entry(path.rpartition("/")[2], mode, size, written_s)

    def receive(self, path: str) -> Iterator[memoryview]:
        """Yield a file's bytes as they come, over a stream of its own; it may be left at any piece.

        Raises:
            SyncRefused: the phone does not give it.
        """
        stream = self._open_stream("sync:")
        try:
            conversation = _Conversation(stream)
            conversation.ask(b"RECV", path)
            while True:
                name, length = _HEAD.unpack(conversation.take(_HEAD.size))
                if name == b"DONE":
                    return
                if name == b"FAIL":
                    raise SyncRefused(bytes(conversation.take(length)).decode(errors="replace"))
                _expect(name, b"DATA")
                yield conversation.take(length)
        finally:
            stream.close()

    def _ask(self, name: bytes, path: str, count: int) -> memoryview:
        """Send a request and return the first `count` bytes of its answer; some phones end a stream after each."""
        if self._conversation is not None and not self._conversation.over:
            with suppress(StreamEnded):
                return self._conversation.ask(name, path).take(count)
        self._conversation = _Conversation(self._open_stream("sync:"))
        return self._conversation.ask(name, path).take(count)


class _Conversation:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = memoryview(b"")  # of what has come

    @property
    def over(self) -> bool:
        return self._stream.ended

    def ask(self, name: bytes, path: str) -> _Conversation:
        raw = path.encode(errors="surrogateescape")
        self._stream.write(_HEAD.pack(name, len(raw)) + raw)
        return self

    def take(self, count: int) -> memoryview:
        """Return the next `count` bytes: of the message they came in, where they lie in one, and else a copy."""
        if count > _MOST_PACKET_BYTES:
            raise ValueError(f"a packet of {count} bytes")
        if len(self._left) < count:
            parts: list[bytes | memoryview] = [self._left] if self._left else []
            come = len(self._left)
            while come < count:
                data = self._stream.read()
                if not data:
                    raise StreamEnded("the phone ended the conversation in the middle of an answer")
                parts.append(data)
                come += len(data)
            self._left = memoryview(b"".join(parts))
        taken, self._left = self._left[:count], self._left[count:]
        return taken


def _expect(found: bytes, wanted: bytes) -> None:
    if found != wanted:
        raise ValueError(f"the phone answered {found!r} instead of {wanted!r}")
