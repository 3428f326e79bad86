"""A phone's adb daemon out of a trace."""

from __future__ import annotations

import difflib
import socket
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dpedkit.capture.replay import Peer, Said, exactly


class AdbReplay(Peer):
    """An adb daemon out of a trace: each service is played as it went, or as the one most like it."""

    def __init__(self, said: Sequence[Said]) -> None:
        super().__init__()
        self._banner = next((one for one in said if not one.is_ours and one.message[0] == "CNXN"), None)
        self._streams: dict[str, deque[_Script]] = {}
        self._answers: dict[tuple[str, bytes], deque[list[bytes]]] = {}
        by_id: dict[int, _Script] = {}
        for one in said:
            command, arg0, arg1 = one.message
            if one.is_ours and command == "OPEN":
                by_id[arg0] = _Script(one.data.rstrip(b"\0").decode(errors="replace"))
                self._streams.setdefault(by_id[arg0].service, deque()).append(by_id[arg0])
            elif script := by_id.get(arg0 if one.is_ours else arg1):
                script.take(command, one)
                if one.is_ours and command == "WRTE":
                    self._answers.setdefault((script.service, one.data), deque()).append(script.answers[-1])

    def serve(self, wire: socket.socket) -> None:
        """Answer one connection."""
        scripts: dict[int, _Script] = {}
        while True:
            command, arg0, _, data = _receive_adb(wire)
            if command == b"CNXN" and self._banner is not None:
                _send_adb(wire, b"CNXN", self._banner.message[1], self._banner.message[2], self._banner.data)
            elif command == b"OPEN":
                scripts[arg0] = self._script(data.rstrip(b"\0").decode(errors="replace"))
                self._play(wire, arg0, scripts[arg0], b"OKAY" if scripts[arg0].is_accepted else b"CLSE")
            elif command == b"WRTE" and arg0 in scripts:
                scripts[arg0].turn += 1
                self._play(wire, arg0, scripts[arg0], b"OKAY", data)
            elif command == b"CLSE":
                scripts.pop(arg0, None)

    def _script(self, service: str) -> _Script:
        kind = service.partition(":")[0]
        names = [name for name in self._streams if name.partition(":")[0] == kind]
        near = [service] if service in names else difflib.get_close_matches(service, names, n=1, cutoff=0.0)
        if not near:
            return _Script(service)
        found = self._streams[near[0]]
        return replace(found.popleft() if len(found) > 1 else found[0])

    def _play(
        self, wire: socket.socket, their_id: int, script: _Script, head: bytes, asked: bytes | None = None
    ) -> None:
        """Send what follows the `turn`th thing that was written to a stream."""
        _send_adb(wire, head, their_id, their_id, b"")
        turn = min(script.turn, len(script.answers) - 1)
        recorded = self._answers.get((script.service, asked)) if asked is not None else None
        answer = script.answers[turn]
        if recorded:
            answer = recorded.popleft() if len(recorded) > 1 else recorded[0]
        for data in answer:
            _send_adb(wire, b"WRTE", their_id, their_id, data)
        if script.is_ended and script.turn >= len(script.answers) - 1:
            _send_adb(wire, b"CLSE", their_id, their_id, b"")


@dataclass(slots=True)
class _Script:
    """One stream.

    answers  what came before we wrote anything, after we wrote once, twice, ...
    turn     how often the stream that is played was written to
    """

    service: str
    is_accepted: bool = False
    is_ended: bool = False
    answers: list[list[bytes]] = field(default_factory=lambda: [[]])
    turn: int = 0

    def take(self, command: str, one: Said) -> None:
        if command == "WRTE" and one.is_ours:
            self.answers.append([])
        elif command == "WRTE":
            self.answers[-1].append(one.data)
        elif command == "OKAY" and not one.is_ours:
            self.is_accepted = True
        elif command == "CLSE" and not one.is_ours:
            self.is_ended = True


def _receive_adb(wire: socket.socket) -> tuple[bytes, int, int, bytes]:
    command, arg0, arg1, length, _, _ = struct.unpack("<4s5I", exactly(wire, 24))
    return command, arg0, arg1, exactly(wire, length)


def _send_adb(wire: socket.socket, command: bytes, arg0: int, arg1: int, data: bytes) -> None:
    magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
    wire.sendall(struct.pack("<4s5I", command, arg0, arg1, len(data), sum(data), magic) + data)
