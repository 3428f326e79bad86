"""A PTP/IP camera out of a trace."""

from __future__ import annotations

import socket
import struct
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dpedkit.capture.replay import Peer, Said, exactly

_INIT_COMMAND, _INIT_EVENT, _REQUEST, _RESPONSE, _START_DATA, _DATA, _END_DATA = 1, 3, 6, 7, 9, 10, 12
_READ_PART = (0x101B, 0x9107)
_OK = 0x2001
_REFUSAL = struct.pack("<H", 0x2005)  # operation not supported
_EOS_GET_EVENT, _NO_NEWS = 0x9116, struct.pack("<II", 8, 0)


class PtpReplay(Peer):
    """A PTP/IP responder out of a trace.

    An EOS is asked for its news over and over, as often as time allows: it tells each as soon as it is asked after what
    was asked before it in the trace.
    """

    def __init__(self, said: Sequence[Said]) -> None:
        super().__init__()
        self._answers: dict[bytes, deque[list[_Packet]]] = {}
        self._hello: dict[int, list[_Packet]] = {}
        self._contents: dict[bytes, bytearray] = {}
        self._asked: Counter[bytes] = Counter()
        self._news: deque[_News] = deque()
        asked: Counter[bytes] = Counter()
        latest = b""
        question: list[_Packet] = []
        answer: list[_Packet] = []
        for is_ours, packet in _packets(said):
            if not is_ours:
                answer.append(packet)
                self._note_content(question, answer)
            elif packet.kind in (_INIT_COMMAND, _INIT_EVENT):
                question, answer = [], self._hello.setdefault(packet.kind, [])
            else:
                question = [packet] if packet.kind == _REQUEST else [*question, packet]
                if not _brings_data(question[0]) or packet.kind == _END_DATA:
                    answer, key = [], _key(question)
                    if _code(question[0]) == _EOS_GET_EVENT:
                        self._news.append(_News(latest, asked[latest], answer))
                    else:
                        self._answers.setdefault(key, deque()).append(answer)
                        if _code(question[0]) not in _READ_PART:
                            asked[key] += 1
                            latest = key
        self._news = deque(news for news in self._news if _content(news.answer) != _NO_NEWS)

    def serve(self, wire: socket.socket) -> None:
        """Answer one connection, whether for commands or for events."""
        first = _receive(wire)
        for packet in self._hello.get(first.kind, [])[:1]:
            _send(wire, packet)
        while True:
            question = [_receive(wire)]
            while _brings_data(question[0]) and question[-1].kind != _END_DATA:
                question.append(_receive(wire))
            for packet in self._answer(question):
                _send(wire, packet.of_transaction(question[0].payload[6:10]))

    def _note_content(self, question: Sequence[_Packet], answer: Sequence[_Packet]) -> None:
        """Put together what was read of a file: it will be read in other pieces."""
        piece = _content(answer)
        if question and piece and _code(question[0]) in _READ_PART:
            handle, offset = question[0].payload[10:14], int.from_bytes(question[0].payload[14:18], "little")
            content = self._contents.setdefault(handle, bytearray())
            content.extend(bytes(max(0, offset + len(piece) - len(content))))
            if any(piece):  # zeros stand for bytes the trace only counts; others may have been read before
                content[offset : offset + len(piece)] = piece

    def _answer(self, question: Sequence[_Packet]) -> Sequence[_Packet]:
        request, code = question[0], _code(question[0])
        if code in _READ_PART and request.payload[10:14] in self._contents:
            offset, size_bytes = struct.unpack_from("<II", request.payload, 14)
            return _data(bytes(self._contents[request.payload[10:14]][offset : offset + size_bytes]))
        if code == _EOS_GET_EVENT:
            is_time = self._news and self._asked[self._news[0].after] >= self._news[0].times
            return self._news.popleft().answer if is_time else _data(_NO_NEWS)
        key = _key(question)
        self._asked[key] += 1
        answers = self._answers.get(key)
        if not answers:
            return [_Packet(_RESPONSE, _REFUSAL + bytes(4))]
        return answers.popleft() if len(answers) > 1 else answers[0]


@dataclass(frozen=True, slots=True)
class _Packet:
    """A PTP/IP packet without its length."""

    kind: int
    payload: bytes

    def of_transaction(self, number: bytes) -> _Packet:
        place = 2 if self.kind == _RESPONSE else 0
        return _Packet(self.kind, self.payload[:place] + number + self.payload[place + 4 :])


@dataclass(frozen=True, slots=True)
class _News:
    """What a camera told once a question (its key) had been asked so many times."""

    after: bytes
    times: int
    answer: list[_Packet]


def _content(answer: Sequence[_Packet]) -> bytes:
    """Return the data of an answer."""
    return b"".join(packet.payload[4:] for packet in answer if packet.kind in (_DATA, _END_DATA))


def _packets(said: Sequence[Said]) -> Iterator[tuple[bool, _Packet]]:
    """Yield the packets of both sides. libgphoto2 notes a packet it receives in several lines."""
    received = b""
    for one in said:
        if one.is_ours:
            yield True, _Packet(int.from_bytes(one.data[4:8], "little"), one.data[8:])
            continue
        received += one.data
        while len(received) >= 8 and len(received) >= (length := int.from_bytes(received[:4], "little")) >= 8:
            yield False, _Packet(int.from_bytes(received[4:8], "little"), received[8:length])
            received = received[length:]


def _data(content: bytes) -> list[_Packet]:
    """Return an answer that is data."""
    start, end = struct.pack("<IQ", 0, len(content)), bytes(4) + content
    response = struct.pack("<HII", _OK, 0, len(content))  # those who read a part want to know how much it was
    return [_Packet(_START_DATA, start), _Packet(_END_DATA, end), _Packet(_RESPONSE, response)]


def _code(request: _Packet) -> int:
    return int.from_bytes(request.payload[4:6], "little")


def _brings_data(request: _Packet) -> bool:
    return request.payload[:4] == struct.pack("<I", 2)


def _key(question: Sequence[_Packet]) -> bytes:
    """Return what makes two questions the same: all but the transaction's number."""
    request, *data = question
    return b"|".join([request.payload[4:6], request.payload[10:], *(packet.payload[4:] for packet in data)])


def _receive(wire: socket.socket) -> _Packet:
    length, kind = struct.unpack("<II", exactly(wire, 8))
    return _Packet(kind, exactly(wire, length - 8))


def _send(wire: socket.socket, packet: _Packet) -> None:
    wire.sendall(struct.pack("<II", 8 + len(packet.payload), packet.kind) + packet.payload)
