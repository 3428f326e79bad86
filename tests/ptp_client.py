"""The other end of a PTP/IP connection, as small as can be."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from dpedkit.capture.simulate.ptp import ALL, Operation, Packet, Status, read_packet, send_data, send_packet


class Initiator:
    """The other end of a PTP/IP connection, as small as can be."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._transaction = 0

    def ask(self, code: int, *parameters: int, data: bytes | None = None) -> tuple[int, bytes]:
        """Return the status and the data of one operation."""
        self.request(code, *parameters, phase=1 if data is None else 2)
        if data is not None:
            send_data(self.connection, self._transaction, len(data), [data])
        received = b""
        while True:
            kind, payload = read_packet(self.connection)
            if kind == Packet.RESPONSE:
                return struct.unpack_from("<H", payload)[0], received
            if kind in (Packet.DATA, Packet.END_DATA):
                received += payload[4:]

    def request(self, code: int, *parameters: int, phase: int = 1) -> None:
        self._transaction += 1
        head = struct.pack(f"<IHI{len(parameters)}I", phase, code, self._transaction, *parameters)
        send_packet(self.connection, Packet.REQUEST, head)

    def handles(self, parent: int) -> list[int]:
        data = self.ask(Operation.GET_OBJECT_HANDLES, ALL, 0, parent)[1]
        return list(struct.unpack_from(f"<{(len(data) - 4) // 4}I", data, 4))


@contextmanager
def initiator(port: int) -> Iterator[Initiator]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        send_packet(connection, Packet.INIT_COMMAND, bytes(16) + "me\0".encode("utf-16-le") + bytes(4))
        assert read_packet(connection)[0] == Packet.INIT_COMMAND_ACK
        yield Initiator(connection)


@contextmanager
def session(port: int) -> Iterator[Initiator]:
    with initiator(port) as me:
        assert me.ask(Operation.OPEN_SESSION, 1)[0] == Status.OK
        yield me
