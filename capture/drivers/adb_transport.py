"""adb_shell, made quick and safe to lose: what its own TCP transport and buffers leave to wish for.

As shipped, a shell command takes 44 ms for want of TCP_NODELAY, a sum over every byte in Python slows pulls down, a
partial send is taken for a whole one, and a phone that hangs up is waited for until the timeout. adb_shell finds the
phone, proves who we are and frames the messages; the streams are our own.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from adb_shell import constants, exceptions
from adb_shell.adb_device import AdbDevice, _AdbIOManager
from adb_shell.adb_message import AdbMessage, unpack
from adb_shell.hidden_helpers import _AdbTransactionInfo
from adb_shell.transport.base_transport import BaseTransport

from dpedkit.capture.drivers.adb_streams import Packet, Stream, Streams
from dpedkit.capture.trace import Way

Hear = Callable[[Way, Packet], None]
"""Is told of each message: whether we sent it, and its command, arg0, arg1 and data."""

_LEAST_TIMEOUT_S = 0.01  # for libusb less than a millisecond is for ever, and for a socket zero is not to wait at all


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
    """adb_shell's device: it connects, and carries our own streams."""

    def __init__(self, transport: BaseTransport, timeout_s: float, hear: Hear | None = None) -> None:
        super().__init__(transport, default_transport_timeout_s=timeout_s)
        self._io_manager = _QuickIo(transport)
        self._io_manager.hear = hear
        self._timeout_s = timeout_s
        self._streams: Streams | None = None

    def open_stream(self, service: str) -> Stream:
        """Start a service, such as "shell:ls" or "sync:".

        Raises:
            ServiceRefused: the phone does not have it.
        """
        if self._streams is None:
            self._streams = Streams(self._io_manager, self._maxdata, self._timeout_s)
        return self._streams.open(service)

    def close(self) -> None:
        """Hang up; safe to call twice."""
        self._streams = None
        super().close()


class _QuickIo(_AdbIOManager):  # type: ignore[misc]  # adb_shell is untyped
    hear: Hear | None = None

    def _send(self, msg: AdbMessage, adb_info: Any) -> None:
        if self.hear:
            self.hear("sent", (constants.WIRE_TO_ID[msg.command], msg.arg0, msg.arg1, bytes(msg.data)))
        super()._send(msg, adb_info)

    def read_packet(self, timeout_s: float) -> Packet:
        timeout_s = max(timeout_s, _LEAST_TIMEOUT_S)
        return self._read_packet_from_device(_AdbTransactionInfo(None, None, timeout_s, timeout_s))

    def send_packet(self, command: bytes, local_id: int, remote_id: int, data: bytes, timeout_s: float) -> None:
        info = _AdbTransactionInfo(None, None, timeout_s, timeout_s)
        self._send(AdbMessage(command, local_id, remote_id, data), info)

    def _read_bytes_from_device(self, length: int, adb_info: Any) -> bytes:
        """Return the next `length` bytes; those that come in one piece are not copied."""
        deadline_s = time.monotonic() + adb_info.read_timeout_s
        parts: list[bytes] = []
        while length > 0:
            parts.append(self._transport.bulk_read(length, adb_info.transport_timeout_s))
            length -= len(parts[-1])
            if length > 0 and time.monotonic() > deadline_s:
                raise exceptions.AdbTimeoutError(f"{length} bytes of a message did not come in time")
        return b"".join(parts)

    def _read_packet_from_device(self, adb_info: Any) -> Packet:
        header = self._read_bytes_from_device(constants.MESSAGE_SIZE, adb_info)
        word, arg0, arg1, length, checksum = unpack(header)
        command = constants.WIRE_TO_ID.get(word)
        if command is None:
            raise exceptions.InvalidCommandError(f"unknown command {header[:4]!r}")
        data = self._read_bytes_from_device(length, adb_info) if length else b""
        # Phones of version 0x01000001 may leave the sum out, and then it is zero.
        total = int(np.frombuffer(data, np.uint8).sum(dtype=np.uint32)) if checksum else 0
        if total != checksum:
            raise exceptions.InvalidChecksumError(f"received checksum {total} instead of {checksum}")
        if self.hear:
            self.hear("received", (command, arg0, arg1, data))
        return command, arg0, arg1, data
