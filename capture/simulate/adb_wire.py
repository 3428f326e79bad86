"""ADB messages as they travel, and the streams they carry.

A message is 24 bytes, little-endian (command, arg0, arg1, data length, data checksum, command inverted), then the data.
A stream (OPEN) carries one service; each side waits for OKAY after every WRTE, and CLSE ends it.
"""

from __future__ import annotations

import queue
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

VERSION = 0x01000001
"""The first version whose two sides leave the checksum out."""
MAX_DATA_BYTES = 1 << 20

_HEADER = struct.Struct("<4sIIII4s")


class ProtocolError(Exception):
    """The other side does not speak ADB."""


class StreamClosed(Exception):
    """The client has closed the stream, or has gone."""


@dataclass(frozen=True, slots=True)
class Message:
    """One ADB message; what arg0 and arg1 mean depends on the command."""

    command: bytes
    arg0: int
    arg1: int
    data: bytes = b""


class Wire:
    """Whole messages over one socket; any thread may send, one reads.

    checksums  whether data sent is summed: both sides leave it out from VERSION on
    frozen     nothing is said any more, whatever comes
    max_data   most bytes of data in one message, as the client announced
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._reader: BinaryIO = sock.makefile("rb")
        self._sending = threading.Lock()
        self.frozen = False
        self.checksums = True
        self.max_data = 4096

    def send(self, command: bytes, arg0: int, arg1: int, data: bytes = b"") -> None:
        """Send one message.

        Raises:
            StreamClosed: the client has gone.
        """
        checksum = byte_sum(data) if self.checksums else 0
        inverted = bytes(byte ^ 0xFF for byte in command)
        header = _HEADER.pack(command, arg0, arg1, len(data), checksum, inverted)
        if self.frozen:
            return
        try:
            with self._sending:
                self.socket.sendall(header + data)
        except OSError as error:
            raise StreamClosed from error

    def read(self) -> Message | None:
        """Return the next message, or None where the client has gone.

        Raises:
            ProtocolError: what came is not an ADB message.
        """
        try:
            header = self._reader.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return None
            command, arg0, arg1, length, checksum, inverted = _HEADER.unpack(header)
            if inverted != bytes(byte ^ 0xFF for byte in command) or length > MAX_DATA_BYTES:
                raise ProtocolError(f"not an ADB header: {header!r}")
            data = self._reader.read(length)
        except OSError:
            return None
        if len(data) < length:
            return None
        if self.checksums and byte_sum(data) != checksum:
            raise ProtocolError(f"checksum of a {command!r} message: {checksum}, its data sum to {byte_sum(data)}")
        return Message(command, arg0, arg1, data)

    def close(self) -> None:
        """Give the socket back; for the thread that reads."""
        with suppress(OSError):  # the client hung up first
            self.socket.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self.socket.close()


class Stream:
    """One service's conversation, seen from the device."""

    def __init__(self, wire: Wire, local_id: int, remote_id: int) -> None:
        self._wire = wire
        self._local_id = local_id
        self._remote_id = remote_id
        self._inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._ready = threading.Semaphore(1)
        self.closed = False

    def read(self) -> bytes:
        """Return what the client wrote next, or b"" once it has closed the stream."""
        data = self._inbox.get()
        if data and not self.closed:
            self._wire.send(b"OKAY", self._local_id, self._remote_id)
        return data

    def write(self, data: bytes) -> None:
        """Send data, in pieces that the client can take.

        Raises:
            StreamClosed: the client has closed the stream, or has gone.
        """
        size = self._wire.max_data
        for start in range(0, len(data), size):
            self._ready.acquire()
            if self.closed:
                raise StreamClosed
            self._wire.send(b"WRTE", self._local_id, self._remote_id, data[start : start + size])

    def close(self) -> None:
        """Tell the client that the service has ended."""
        if not self.closed:
            self._ready.acquire()  # what was written last has arrived
        if not self.closed:
            self.end()
            self._wire.send(b"CLSE", self._local_id, self._remote_id)

    def receive(self, data: bytes) -> None:
        """Take a WRTE of the client."""
        if data:
            self._inbox.put(data)

    def acknowledge(self) -> None:
        """Take an OKAY of the client: the last WRTE has arrived."""
        self._ready.release()

    def end(self) -> None:
        """Wake whoever reads or writes: nothing more will come or go."""
        self.closed = True
        self._inbox.put(b"")
        self._ready.release()


def byte_sum(data: bytes) -> int:
    """Return ADB's checksum: the sum of all bytes."""
    return int(np.frombuffer(data, np.uint8).sum(dtype=np.uint32)) if data else 0
