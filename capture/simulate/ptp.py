"""PTP over TCP/IP (CIPA DC-005) and the PTP datasets (ISO 15740) a camera answers with.

All numbers are little-endian. A packet is its length (u32, header included), its type (u32) and its payload.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

MAX_PACKET_BYTES = 1 << 20
ALL = 0xFFFFFFFF
"""In GetObjectHandles: every store, or (as the parent) the root of a store."""


class Packet(IntEnum):
    """Types of PTP/IP packets."""

    INIT_COMMAND = 1
    INIT_COMMAND_ACK = 2
    INIT_EVENT = 3
    INIT_EVENT_ACK = 4
    INIT_FAIL = 5
    REQUEST = 6
    RESPONSE = 7
    START_DATA = 9
    DATA = 10
    CANCEL = 11
    END_DATA = 12
    PING = 13
    PONG = 14


class Operation(IntEnum):
    """What an initiator asks for."""

    GET_DEVICE_INFO = 0x1001
    OPEN_SESSION = 0x1002
    CLOSE_SESSION = 0x1003
    GET_STORAGE_IDS = 0x1004
    GET_STORAGE_INFO = 0x1005
    GET_NUM_OBJECTS = 0x1006
    GET_OBJECT_HANDLES = 0x1007
    GET_OBJECT_INFO = 0x1008
    GET_OBJECT = 0x1009
    DELETE_OBJECT = 0x100B
    GET_DEVICE_PROP_DESC = 0x1014
    GET_DEVICE_PROP_VALUE = 0x1015
    GET_PARTIAL_OBJECT = 0x101B


class Status(IntEnum):
    """How an operation ended."""

    OK = 0x2001
    GENERAL_ERROR = 0x2002
    SESSION_NOT_OPEN = 0x2003
    OPERATION_NOT_SUPPORTED = 0x2005
    INVALID_STORAGE = 0x2008
    INVALID_HANDLE = 0x2009
    PROPERTY_NOT_SUPPORTED = 0x200A
    STORE_FULL = 0x200C
    ACCESS_DENIED = 0x200F
    DEVICE_BUSY = 0x2019
    INVALID_PROPERTY_VALUE = 0x201C
    INVALID_PARAMETER = 0x201D
    SESSION_ALREADY_OPEN = 0x201E


class Format(IntEnum):
    """What an object is."""

    UNDEFINED = 0x3000
    FOLDER = 0x3001
    JPEG = 0x3801
    CANON_RAW = 0xB103
    HEIF = 0xB110


class ConnectionClosed(Exception):
    """The other side has gone, or no longer speaks PTP/IP."""


class PtpError(Exception):
    """An operation that is answered with a status other than OK."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One operation as the initiator sent it.

    data  what came with it; empty where the operation has none
    """

    code: int
    transaction: int
    parameters: tuple[int, ...]
    data: bytes

    def parameter(self, index: int) -> int:
        """Return a parameter, 0 where it was left out (as the standard says)."""
        return self.parameters[index] if index < len(self.parameters) else 0


def read_packet(connection: socket.socket) -> tuple[int, bytes]:
    """Return the next packet's type and payload.

    Raises:
        ConnectionClosed: end of stream, or a length that no packet has.
    """
    length, kind = struct.unpack("<II", _read_exactly(connection, 8))
    if not 8 <= length <= MAX_PACKET_BYTES:
        raise ConnectionClosed
    return kind, _read_exactly(connection, length - 8)


def send_packet(connection: socket.socket, kind: Packet, payload: bytes | memoryview) -> None:
    """Send one packet in one write."""
    connection.sendall(b"".join((struct.pack("<II", 8 + len(payload), kind), payload)))


def read_request(connection: socket.socket) -> Request:
    """Return the next operation and, where it brings data, its data.

    Raises:
        ConnectionClosed: end of stream, or something that is no request.
    """
    kind, payload = read_packet(connection)
    while kind in (Packet.CANCEL, Packet.PING):
        if kind == Packet.PING:
            send_packet(connection, Packet.PONG, b"")
        kind, payload = read_packet(connection)
    if kind != Packet.REQUEST or len(payload) < 10:
        raise ConnectionClosed
    phase, code, transaction = struct.unpack_from("<IHI", payload)
    parameters = struct.unpack_from(f"<{(len(payload) - 10) // 4}I", payload, 10)
    data = _read_data(connection) if phase == 2 else b""
    return Request(code, transaction, parameters, data)


def send_data(connection: socket.socket, transaction: int, size_bytes: int, chunks: Iterable[bytes]) -> None:
    """Send a data phase of `size_bytes`, one packet per chunk.

    Raises:
        ConnectionClosed: the chunks hold less than was announced; the initiator must not take them for whole.
    """
    send_packet(connection, Packet.START_DATA, struct.pack("<IQ", transaction, size_bytes))
    sent = 0
    for chunk in chunks:
        sent += len(chunk)
        kind = Packet.END_DATA if sent >= size_bytes else Packet.DATA
        send_packet(connection, kind, struct.pack("<I", transaction) + chunk)
    if sent != size_bytes:
        raise ConnectionClosed
    if size_bytes == 0:
        send_packet(connection, Packet.END_DATA, struct.pack("<I", transaction))


def send_response(connection: socket.socket, transaction: int, status: Status, parameters: Sequence[int] = ()) -> None:
    """End an operation."""
    values = struct.pack(f"<HI{len(parameters)}I", status, transaction, *parameters)
    send_packet(connection, Packet.RESPONSE, values)


def ptp_string(text: str) -> bytes:
    """Return a PTP string: its length in characters with the final zero (u8), then UTF-16."""
    return struct.pack("<B", len(text) + 1) + f"{text}\0".encode("utf-16-le") if text else b"\0"


def ptp_array(values: Sequence[int], kind: str) -> bytes:
    """Return a PTP array: a count (u32), then the values as struct's `kind` ("H" or "I")."""
    return struct.pack(f"<I{len(values)}{kind}", len(values), *values)


def ptp_time(when: datetime) -> bytes:
    """Return a PTP date and time string."""
    return ptp_string(when.strftime("%Y%m%dT%H%M%S"))


def device_info(
    *,
    vendor: int,
    operations: Sequence[int],
    properties: Sequence[int],
    formats: Sequence[int],
    identity: Sequence[str],
) -> bytes:
    """Return a DeviceInfo dataset.

    vendor    vendor extension id
    identity  manufacturer, model, version, serial number
    """
    head = struct.pack("<HIH", 100, vendor, 100) + ptp_string("") + struct.pack("<H", 0)
    no_events = ptp_array((), "H")
    lists = [ptp_array(operations, "H"), no_events, ptp_array(properties, "H")]
    lists += [ptp_array((Format.JPEG,), "H"), ptp_array(formats, "H")]
    return head + b"".join(lists) + b"".join(ptp_string(text) for text in identity)


def storage_info(capacity_bytes: int, free_bytes: int, free_images: int, label: str) -> bytes:
    """Return a StorageInfo dataset of a removable, writable memory card with DCF folders."""
    numbers = struct.pack("<HHHQQI", 4, 3, 0, capacity_bytes, free_bytes, min(free_images, ALL))
    return numbers + ptp_string(label) + ptp_string("")


def object_info(*, storage: int, parent: int, kind: Format, size_bytes: int, name: str, when: datetime) -> bytes:
    """Return an ObjectInfo dataset (no thumbnail, picture size untold)."""
    head = struct.pack("<IHHI", storage, kind, 0, size_bytes)
    picture = struct.pack("<H6I", 0, 0, 0, 0, 0, 0, 0)
    place = struct.pack("<IHII", parent, 1 if kind == Format.FOLDER else 0, 0, 0)
    return head + picture + place + ptp_string(name) + ptp_time(when) + ptp_time(when) + ptp_string("")


def _read_data(connection: socket.socket) -> bytes:
    """Return the data phase an initiator sends; small settings only, so it is held in memory."""
    kind, _ = read_packet(connection)
    if kind != Packet.START_DATA:
        raise ConnectionClosed
    data = b""
    while kind != Packet.END_DATA:
        kind, payload = read_packet(connection)
        data += payload[4:]
        if kind not in (Packet.DATA, Packet.END_DATA) or len(data) > MAX_PACKET_BYTES:
            raise ConnectionClosed
    return data


def _read_exactly(connection: socket.socket, size_bytes: int) -> bytes:
    parts = bytearray()
    while len(parts) < size_bytes:
        part = connection.recv(size_bytes - len(parts))
        if not part:
            raise ConnectionClosed
        parts += part
    return bytes(parts)
