"""One initiator's session with a simulated Canon EOS: operations in, answers and events out."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path

from dpedkit.capture.simulate.cable import Cable
from dpedkit.capture.simulate.eos_body import EosBody
from dpedkit.capture.simulate.eos_card import PHOTO_BYTES, STORAGE_ID, Card, Slice, kind_of
from dpedkit.capture.simulate.eos_properties import (
    END_OF_EVENTS,
    Destination,
    Event,
    Properties,
    Property,
    record,
)
from dpedkit.capture.simulate.faults import CablePulled, Script, ScriptedFault
from dpedkit.capture.simulate.ptp import (
    ALL,
    ConnectionClosed,
    Format,
    Operation,
    PtpError,
    Request,
    Status,
    device_info,
    ptp_array,
    read_packet,
    read_request,
    send_data,
    send_response,
)

_CANON = 0x0000000B
_BATTERY_LEVEL = 0x5001
_FULL_PRESS = 2
_IDLE, _BUSY = 0, 1


class EosOperation(IntEnum):
    """Canon's own operations."""

    GET_STORAGE_IDS = 0x9101
    GET_STORAGE_INFO = 0x9102
    SET_PROPERTY = 0x9110
    SET_REMOTE_MODE = 0x9114
    SET_EVENT_MODE = 0x9115
    GET_EVENT = 0x9116
    TRANSFER_COMPLETE = 0x9117
    HOST_CAPACITY = 0x911A
    SET_UI_LOCK = 0x911B
    RESET_UI_LOCK = 0x911C
    KEEP_DEVICE_ON = 0x911D
    REQUEST_PROPERTY = 0x9127
    RELEASE_ON = 0x9128
    RELEASE_OFF = 0x9129


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an operation gives back: data (None: it has no data phase) and response parameters."""

    data: bytes | Slice | None = None
    parameters: Sequence[int] = ()


class EosSession:
    """Serves one command connection. `photo_landed` may be called from any thread."""

    def __init__(
        self,
        connection: socket.socket,
        body: EosBody,
        card: Card,
        properties: Properties,
        misfortune: tuple[Script, Cable],
    ) -> None:
        self._connection = connection
        self._faults, self._cable = misfortune
        self._body = body
        self._card = card
        self._properties = properties
        self._events: deque[bytes] = deque()
        self._open = False
        self._told_all = False
        self._pressed = 0
        self._host_bytes = 0

    def serve(self) -> None:
        """Answer operations until the initiator closes its session.

        Raises:
            ConnectionClosed, OSError: it went without a word.
        """
        closed = False
        while not closed:
            request = read_request(self._connection)
            try:
                answer = self._answer(request)
            except PtpError as refusal:
                send_response(self._connection, request.transaction, refusal.status)
                continue
            if isinstance(answer.data, Slice):
                self._send_file(request, answer.data)
            elif answer.data is not None:
                send_data(self._connection, request.transaction, len(answer.data), [answer.data])
            send_response(self._connection, request.transaction, Status.OK, answer.parameters)
            closed = request.code == Operation.CLOSE_SESSION

    def _send_file(self, request: Request, part: Slice) -> None:
        size_bytes = self._faults.sent_size(part.path, part.offset_bytes, part.size_bytes)
        chunks = self._faults.tamper(part.path, part.chunks(), part.offset_bytes)
        try:
            send_data(self._connection, request.transaction, size_bytes, chunks)
        except CablePulled as pulled:
            self._cable.pull(pulled.after_s)
            raise ConnectionClosed from None

    def photo_landed(self, photo: Path) -> None:
        """Queue the events of a new photo."""
        handle, kind, size_bytes = self._card.handle(photo), kind_of(photo), photo.stat().st_size
        name = photo.name.encode() + b"\0"
        if self._properties.number(Property.CAPTURE_DESTINATION) == Destination.HOST:
            content = struct.pack("<5I", handle, kind, 0, size_bytes, 0)
            self._events.append(record(Event.TRANSFER_REQUESTED, content + name))
        else:
            parent = self._card.parent(photo)
            content = struct.pack("<8I", handle, STORAGE_ID, kind, 0, 0, size_bytes, parent, handle)
            self._events.append(record(Event.OBJECT_ADDED, content + name))
        self._events.append(_camera_status(_IDLE))

    def _answer(self, request: Request) -> _Answer:
        """Carry out one operation.

        Raises:
            PtpError: the status it is refused with.
        """
        if not self._open and request.code not in (Operation.GET_DEVICE_INFO, Operation.OPEN_SESSION):
            raise PtpError(Status.SESSION_NOT_OPEN)
        return self._answer_eos(request) if request.code >= 0x9000 else self._answer_standard(request)

    def _answer_standard(self, request: Request) -> _Answer:  # noqa: PLR0911, PLR0912 - a table, one line each
        handle = request.parameter(0)
        match request.code:
            case Operation.GET_DEVICE_INFO:
                return _Answer(self._device_info())
            case Operation.OPEN_SESSION:
                self._open = True
                return _Answer()
            case Operation.CLOSE_SESSION:
                return _Answer()
            case Operation.GET_STORAGE_IDS:
                return _Answer(ptp_array((STORAGE_ID,), "I"))
            case Operation.GET_STORAGE_INFO:
                return self._storage_info(request)
            case Operation.GET_NUM_OBJECTS:
                return _Answer(parameters=(len(self._handles(request)),))
            case Operation.GET_OBJECT_HANDLES:
                return _Answer(ptp_array(self._handles(request), "I"))
            case Operation.GET_OBJECT_INFO:
                return _Answer(self._card.info(handle))
            case Operation.GET_OBJECT:
                return _Answer(self._card.slice(handle, 0, ALL))
            case Operation.GET_PARTIAL_OBJECT:
                part = self._card.slice(handle, request.parameter(1), request.parameter(2))
                return _Answer(part, (part.size_bytes,))
            case Operation.DELETE_OBJECT:
                self._card.delete(handle)
                return _Answer()
            case Operation.GET_DEVICE_PROP_DESC | Operation.GET_DEVICE_PROP_VALUE:
                return self._battery(request)
            case _:
                raise PtpError(Status.OPERATION_NOT_SUPPORTED)

    def _answer_eos(self, request: Request) -> _Answer:
        match request.code:
            case EosOperation.GET_STORAGE_IDS:
                return _Answer(ptp_array((STORAGE_ID,), "I"))
            case EosOperation.GET_STORAGE_INFO:
                return self._storage_info(request)
            case EosOperation.SET_PROPERTY:
                self._events.append(self._properties.event(self._properties.set(request.data)))
                self._body.set_dials(self._properties.dials())
            case EosOperation.GET_EVENT:
                return _Answer(self._take_events())
            case EosOperation.SET_EVENT_MODE:
                self._told_all = False
            case EosOperation.HOST_CAPACITY:
                clusters, cluster_bytes = request.parameter(0), request.parameter(1)
                self._host_bytes = clusters * cluster_bytes
            case EosOperation.REQUEST_PROPERTY:
                self._events.append(self._properties.event(Properties.known(request.parameter(0))))
            case EosOperation.RELEASE_ON:
                self._press(request.parameter(0))
                return _Answer(parameters=(0,))
            case EosOperation.RELEASE_OFF:
                self._pressed &= ~request.parameter(0)
                return _Answer(parameters=(0,))
            case EosOperation.TRANSFER_COMPLETE:
                self._card.delete(request.parameter(0))  # a photo meant for the host only does not stay on the card
            case code if code not in tuple(EosOperation):
                raise PtpError(Status.OPERATION_NOT_SUPPORTED)
        return _Answer()

    def _press(self, buttons: int) -> None:
        """Push the shutter button: the moment it is all the way down, the body releases."""
        if buttons & ~self._pressed & _FULL_PRESS:
            if fault := self._body.release():
                self._act_out(fault)
            self._events.append(_camera_status(_BUSY))
        self._pressed |= buttons

    def _act_out(self, fault: ScriptedFault) -> None:
        """Fail as the script says at a release.

        Raises:
            PtpError: the status it is refused with.
            ConnectionClosed: the cable is out, or the initiator gave a frozen camera up.
        """
        if fault.fault == "busy":
            raise PtpError(Status.DEVICE_BUSY)
        if fault.fault == "card_full":
            raise PtpError(Status.STORE_FULL)
        while fault.fault == "frozen":
            read_packet(self._connection)
        self._cable.pull(fault.after_s)
        raise ConnectionClosed

    def _take_events(self) -> bytes:
        """Return what has happened since the last GetEvent; all there is to know at the first."""
        seconds = self._body.now_ns() // 1_000_000_000
        offset = datetime.fromtimestamp(seconds).astimezone().utcoffset()
        values = {
            Property.UTC_TIME: seconds,
            Property.CAMERA_TIME: seconds + (round(offset.total_seconds()) if offset else 0),
            Property.AVAILABLE_SHOTS: min(self._free_images(), 9999),
        }
        changed = [code for code, value in values.items() if self._properties.update(code, value)]
        if self._told_all:
            events = [self._properties.event(code) for code in changed]
        else:
            events = self._properties.all_events()
            self._told_all = True
        while self._events:
            events.append(self._events.popleft())
        return b"".join(events) + END_OF_EVENTS

    def _free_images(self) -> int:
        """Return how many photos fit where they go: over the wire, as many as the initiator says it has room for."""
        if self._properties.number(Property.CAPTURE_DESTINATION) == Destination.HOST:
            return self._host_bytes // PHOTO_BYTES
        return self._card.free_images()

    def _device_info(self) -> bytes:
        spec = self._body.spec
        return device_info(
            vendor=_CANON,
            operations=(*Operation, *EosOperation),
            properties=(_BATTERY_LEVEL,),
            formats=tuple(Format),
            identity=("Canon Inc.", spec.model, "3-1.1.1", spec.serial),
        )

    def _storage_info(self, request: Request) -> _Answer:
        if request.parameter(0) != STORAGE_ID:
            raise PtpError(Status.INVALID_STORAGE)
        return _Answer(self._card.storage())

    def _handles(self, request: Request) -> list[int]:
        if request.parameter(0) not in (STORAGE_ID, ALL):
            raise PtpError(Status.INVALID_STORAGE)
        handles, kind = self._card.handles(request.parameter(2)), request.parameter(1)
        return [handle for handle in handles if not kind or kind_of(self._card.path(handle)) == kind]

    def _battery(self, request: Request) -> _Answer:
        """Describe the one standard property, or give its value: uint8, read-only, 0 to 100 in steps of 1."""
        if request.parameter(0) != _BATTERY_LEVEL:
            raise PtpError(Status.PROPERTY_NOT_SUPPORTED)
        percent = self._body.battery_percent
        if request.code == Operation.GET_DEVICE_PROP_VALUE:
            return _Answer(struct.pack("<B", percent))
        return _Answer(struct.pack("<HHBBBBBBB", _BATTERY_LEVEL, 2, 0, 100, percent, 1, 0, 100, 1))


def _camera_status(status: int) -> bytes:
    return record(Event.CAMERA_STATUS, struct.pack("<I", status))
