"""adb_shell, made quick and safe to lose: what its own TCP transport and buffers leave to wish for.

As shipped, a shell command takes 44 ms for want of TCP_NODELAY, a sum over every byte in Python and a copy of the
whole receive buffer per chunk slow pulls down, a partial send is taken for a whole one, and a phone that hangs up is
waited for until the timeout.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from adb_shell import constants, exceptions
from adb_shell.adb_device import AdbDevice, _AdbIOManager
from adb_shell.adb_message import unpack
from adb_shell.hidden_helpers import _FileSyncTransactionInfo
from adb_shell.transport.base_transport import BaseTransport


class QuickTcpTransport(BaseTransport):  # type: ignore[misc]  # adb_shell is untyped
    """A TCP connection to a phone. Every call ends within its timeout, with OSError where the phone is gone."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def connect(self, transport_timeout_s: float | None) -> None:
        """Connect within the timeout."""
        self._socket = socket.create_connection(self._address, timeout=transport_timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up; safe to call twice."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Return 1 to `numbytes` bytes."""
        data = self._connected(transport_timeout_s).recv(numbytes)
        if not data:
            raise ConnectionResetError("the phone has closed the connection")
        return data

    def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        """Send all of `data`."""
        self._connected(transport_timeout_s).sendall(data)
        return len(data)

    def _connected(self, timeout_s: float | None) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError("not connected")
        self._socket.settimeout(timeout_s)
        return self._socket


class QuickAdbDevice(AdbDevice):  # type: ignore[misc]  # adb_shell is untyped
    """adb_shell's device with a checksum and a receive buffer that keep up with the wire."""

    def __init__(self, transport: BaseTransport, timeout_s: float) -> None:
        super().__init__(transport, default_transport_timeout_s=timeout_s)
        self._io_manager = _QuickIo(transport)

    def receive(self, device_path: str) -> Iterator[bytes]:
        """Yield a file's bytes as they come."""
        adb_info = self._open(b"sync:", None, self._default_transport_timeout_s, None)
        filesync_info = _FileSyncTransactionInfo(constants.FILESYNC_PULL_FORMAT, maxdata=self._maxdata)
        self._filesync_send(constants.RECV, adb_info, filesync_info, data=device_path.encode(errors="surrogateescape"))
        while True:
            kind, _, data = self._filesync_read([constants.DATA, constants.DONE], adb_info, filesync_info)
            if kind == constants.DONE:
                break
            yield data
        self._clse(adb_info)

    def start_shell(self, command: str, timeout_s: float) -> Callable[[], str]:
        """Start a command; return what waits for its end and returns what it printed. Other calls may come between.

        timeout_s  for the whole command, and for each of its answers
        """
        adb_info = self._open(b"shell:" + command.encode(errors="surrogateescape"), timeout_s, timeout_s, timeout_s)
        return lambda: b"".join(self._read_until_close(adb_info)).decode(errors="surrogateescape")

    def _filesync_read_buffered(self, size: int, adb_info: Any, filesync_info: Any) -> bytes:
        buffer = filesync_info.recv_buffer
        while len(buffer) < size:
            _, data = self._read_until([constants.WRTE], adb_info)
            buffer += data
        with memoryview(buffer) as view:
            taken = bytes(view[:size])
        del buffer[:size]  # a bytearray forgets its beginning without moving the rest
        return taken


class _QuickIo(_AdbIOManager):  # type: ignore[misc]  # adb_shell is untyped
    def _read_packet_from_device(self, adb_info: Any) -> tuple[bytes, int, int, bytes]:
        header = self._read_bytes_from_device(constants.MESSAGE_SIZE, adb_info)
        word, arg0, arg1, length, checksum = unpack(header)
        command = constants.WIRE_TO_ID.get(word)
        if command is None:
            raise exceptions.InvalidCommandError(f"unknown command {header[:4]!r}")
        data = self._read_bytes_from_device(length, adb_info) if length else b""
        total = int(np.frombuffer(data, np.uint8).sum(dtype=np.uint32))
        if data and total != checksum:
            raise exceptions.InvalidChecksumError(f"received checksum {total} instead of {checksum}")
        return command, arg0, arg1, data
