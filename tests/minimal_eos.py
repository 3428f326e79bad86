"""A Canon EOS 70D that does the least libgphoto2 asks for: PTP/IP in one file that shares nothing with ours.

It has no clock, no serial number, no battery and no setting but the capture destination; its photos are fixed bytes.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

_STORE, _FOLDERS = 0x00010001, {1: "DCIM", 2: "100EOS70"}
_OK, _NO_SUCH_OPERATION, _NO_SUCH_OBJECT, _BUSY = 0x2001, 0x2005, 0x2009, 0x2019
_READ = (0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1007, 0x1008, 0x1009, 0x100B, 0x101B)
_EOS = (0x9101, 0x9102, 0x9110, 0x9114, 0x9115, 0x9116, 0x911D, 0x9128, 0x9129)
_JPEG, _RAW, _FOLDER = 0x3801, 0xB103, 0x3001


class MinimalEos:
    """Listens on a port of 127.0.0.1, for one initiator after another.

    photo    what every photo holds, by its ending: {"JPG": b"..."}
    lag_s    from the release to the announcement
    tell     whether photos are announced
    busy     this many releases to come are answered with Device Busy
    freeze   from now on it takes everything and answers nothing
    asked    the operations it was asked for
    """

    def __init__(self, photo: dict[str, bytes], *, lag_s: float = 0.05, tell: bool = True) -> None:
        self.photo, self.lag_s, self.tell = photo, lag_s, tell
        self.busy, self.freeze = 0, False
        self.released_ns: list[int] = []
        self.asked: list[int] = []
        self.objects: dict[int, tuple[str, bytes]] = {}
        self._last_handle = 0x91000000
        self._due: list[tuple[float, int]] = []
        self._told_all = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with wire, contextlib.suppress(OSError, EOFError, struct.error):
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kind, _ = _receive(wire)
            if kind == 3:
                _send(wire, 4, b"")
                _receive(wire)
            _send(wire, 2, struct.pack("<I", 1) + bytes(16) + "EOS\0".encode("utf-16-le") + struct.pack("<I", 0x10000))
            while True:
                kind, payload = _receive(wire)
                phase, code, transaction = struct.unpack_from("<IHI", payload)
                parameters = [*struct.unpack(f"<{(len(payload) - 10) // 4}I", payload[10:]), 0, 0, 0]
                while phase == 2 and kind != 12:
                    kind, _ = _receive(wire)
                while self.freeze:
                    time.sleep(0.05)
                self.asked.append(code)
                status, data = self._answer(code, parameters)
                if data is not None:
                    _send(wire, 9, struct.pack("<IQ", transaction, len(data)))
                    _send(wire, 12, struct.pack("<I", transaction) + data)
                _send(wire, 7, struct.pack("<HI", status, transaction))

    def _answer(self, code: int, parameters: list[int]) -> tuple[int, bytes | None]:  # noqa: PLR0911, PLR0912 - a table
        handle = parameters[0]
        if code not in (*_READ, *_EOS):
            return _NO_SUCH_OPERATION, None
        if code in (0x1008, 0x1009, 0x100B, 0x101B) and handle not in self.objects and handle not in _FOLDERS:
            return _NO_SUCH_OBJECT, None
        match code:
            case 0x1001:
                return _OK, self._device_info()
            case 0x1002 | 0x9115:
                self._told_all = False
            case 0x1004 | 0x9101:
                return _OK, struct.pack("<II", 1, _STORE)
            case 0x1005 | 0x9102:
                return _OK, struct.pack("<HHHQQI", 4, 3, 0, 1 << 34, 1 << 33, 999) + _text("SD") + _text("")
            case 0x1007:
                handles = [1] if parameters[2] == 0xFFFFFFFF else [2] if parameters[2] == 1 else []
                handles += self.objects if parameters[2] == 2 else []
                handles = [1, 2, *self.objects] if parameters[2] == 0 else handles
                return _OK, struct.pack(f"<I{len(handles)}I", len(handles), *handles)
            case 0x1008:
                return _OK, self._object_info(handle)
            case 0x1009:
                return _OK, self.objects[handle][1]
            case 0x101B:
                return _OK, self.objects[handle][1][parameters[1] :][: parameters[2]]
            case 0x100B:
                del self.objects[handle]
            case 0x9116:
                return _OK, self._events()
            case 0x9128 if parameters[0] & 2:
                if self.busy:
                    self.busy -= 1
                    return _BUSY, None
                self.released_ns.append(time.time_ns())
                self._expose()
        return _OK, None

    def _expose(self) -> None:
        number = len(self.released_ns)
        for suffix, data in self.photo.items():
            self._last_handle += 16
            handle = self._last_handle
            self.objects[handle] = (f"IMG_{number:04d}.{suffix}", data)
            self._due.append((time.monotonic() + self.lag_s, handle))

    def _events(self) -> bytes:
        records = []
        if not self._told_all:
            self._told_all = True
            records += [struct.pack("<4I", 16, 0xC189, 0xD11C, 2), struct.pack("<7I", 28, 0xC18A, 0xD11C, 3, 2, 2, 4)]
        due = [handle for at_s, handle in self._due if at_s <= time.monotonic() and handle in self.objects]
        self._due = [(at_s, handle) for at_s, handle in self._due if handle in self.objects and handle not in due]
        for handle in due if self.tell else ():
            name, data = self.objects[handle]
            content = (
                struct.pack("<8I", handle, _STORE, _format(name), 0, 0, len(data), 2, handle) + name.encode() + b"\0"
            )
            records.append(struct.pack("<II", 8 + len(content), 0xC181) + content)
        return b"".join(records) + struct.pack("<II", 8, 0)

    def _device_info(self) -> bytes:
        lists = [[*_READ, *_EOS], [], [], [_JPEG], [_JPEG, _RAW, _FOLDER]]
        packed = b"".join(struct.pack(f"<I{len(each)}H", len(each), *each) for each in lists)
        names = _text("Canon Inc.") + _text("Canon EOS 70D") + _text("3-1.1.1") + _text("")
        return struct.pack("<HIH", 100, 0xB, 100) + _text("") + struct.pack("<H", 0) + packed + names

    def _object_info(self, handle: int) -> bytes:
        name, data = (_FOLDERS[handle], b"") if handle in _FOLDERS else self.objects[handle]
        parent = {1: 0, 2: 1}.get(handle, 2)
        kind = _FOLDER if handle in _FOLDERS else _format(name)
        head = struct.pack("<IHHI", _STORE, kind, 0, len(data)) + struct.pack("<H6I", *[0] * 7)
        return head + struct.pack("<IHII", parent, int(kind == _FOLDER), 0, 0) + _text(name) + _text("") * 3


def _format(name: str) -> int:
    return _JPEG if name.endswith("JPG") else _RAW


def _text(text: str) -> bytes:
    return struct.pack("<B", len(text) + 1) + f"{text}\0".encode("utf-16-le") if text else b"\0"


def _receive(wire: socket.socket) -> tuple[int, bytes]:
    length, kind = struct.unpack("<II", _exactly(wire, 8))
    return kind, _exactly(wire, length - 8)


def _exactly(wire: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (part := wire.recv(size - len(data))):
            raise EOFError
        data += part
    return data


def _send(wire: socket.socket, kind: int, payload: bytes) -> None:
    wire.sendall(struct.pack("<II", 8 + len(payload), kind) + payload)
