"""A recorded conversation played again: a peer that answers as the device in a trace did.

    trace = read_trace(Path("rig.trace"), "canon")
    with PtpReplay(trace) as peer:
        camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{peer.port}")

PtpReplay is in replay_ptp.py, AdbReplay in replay_adb.py. What was asked once and is asked again gets its answers in
the order in which they were recorded, then the last one over and over. Bytes that the trace only counts (photos) are
played as zeros.
"""

from __future__ import annotations

import json
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dpedkit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a trace.

    is_ours  we said it, not the device
    message  an ADB message's command, arg0 and arg1
    """

    is_ours: bool
    data: bytes
    message: tuple[str, int, int] = ("", 0, 0)


def read_trace(path: Path, device: str) -> list[Said]:
    """Return what one device and we said.

    Raises:
        UsageError: no such file, or it is no trace; the message names the line.
    """
    said: list[Said] = []
    number = 0
    try:
        for text in path.read_text(encoding="utf-8").splitlines():
            number += 1
            line = json.loads(text)
            if line["device"] == device:
                data = bytes(line["size_bytes"]) if "size_bytes" in line else bytes.fromhex(line["data"])
                message = (line.get("command", ""), line.get("arg0", 0), line.get("arg1", 0))
                said.append(Said(line["way"] == "sent", data, message))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a file written with --trace") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}, line {number}: no line of a trace", "name a file written with --trace") from error
    return said


class Peer(ABC):
    """Listens on a port of 127.0.0.1 while its context lasts."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._wires: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for wire in (self._listener, *self._wires):
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                wire, _ = self._listener.accept()
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._wires.append(wire)
                threading.Thread(target=self._serve_quietly, args=(wire,), daemon=True).start()

    def _serve_quietly(self, wire: socket.socket) -> None:
        with wire, suppress(OSError, EOFError):
            self.serve(wire)

    @abstractmethod
    def serve(self, wire: socket.socket) -> None:
        """Answer one connection until it ends with EOFError or OSError."""


def exactly(wire: socket.socket, size_bytes: int) -> bytes:
    """Return so many bytes.

    Raises:
        EOFError: the other side has gone.
    """
    data = bytearray()
    while len(data) < size_bytes:
        part = wire.recv(size_bytes - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
