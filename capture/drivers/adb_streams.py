"""Several conversations with a phone over one connection, each at its own pace.

adb_shell's own streams lose a CLSE that comes while another stream is read, and wait for the timeout where a phone
refuses a service. Here each stream has its inbox, and a stream's next packet is asked for (OKAY) when the last one is
taken: a pull that pauses leaves at most one packet of the phone's in the others' way.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from adb_shell import constants

Packet = tuple[bytes, int, int, bytes]
"""A message: command, the phone's stream id, ours, data."""


class ServiceRefused(Exception):
    """The phone does not offer a service."""


class StreamEnded(Exception):
    """The phone ended a stream in the middle of an answer."""


class Packets(Protocol):
    """What carries messages to a phone and back; raises whatever its transport does."""

    def read_packet(self, timeout_s: float) -> Packet:
        """Return the next message."""
        ...

    def send_packet(self, command: bytes, local_id: int, remote_id: int, data: bytes, timeout_s: float) -> None:
        """Send a message."""
        ...


class Streams:
    """The streams of one connection; for one thread.

    max_data   most bytes that the phone takes in one message
    timeout_s  for each answer of the phone
    """

    def __init__(self, packets: Packets, max_data: int, timeout_s: float) -> None:
        self._packets = packets
        self._open: dict[int, Stream] = {}
        self._last_id = 0
        self.max_data = max_data
        self.timeout_s = timeout_s

    def open(self, service: str) -> Stream:
        """Start a service, such as "shell:ls" or "sync:".

        Raises:
            ServiceRefused: the phone does not have it, or its name is longer than the phone takes.
        """
        name = service.encode(errors="surrogateescape") + b"\0"
        if len(name) > self.max_data:
            raise ServiceRefused(f"a command of {len(name)} bytes, and this phone takes {self.max_data}")
        self._last_id += 1
        stream = Stream(self, self._last_id)
        self._open[self._last_id] = stream
        self.send(constants.OPEN, self._last_id, 0, name)
        try:
            self.deliver_until(lambda: stream.remote_id != 0 or stream.ended, self.timeout_s)
        except BaseException:
            stream.forget()
            raise
        if stream.remote_id == 0:
            raise ServiceRefused(f"it has no service {service.partition(':')[0]!r}")
        return stream

    def send(self, command: bytes, local_id: int, remote_id: int, data: bytes = b"") -> None:
        """Send one message of a stream."""
        self._packets.send_packet(command, local_id, remote_id, data, self.timeout_s)

    def deliver_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Put what comes into the streams' inboxes until `done`.

        Raises:
            TimeoutError: not within timeout_s.
        """
        deadline_s = time.monotonic() + timeout_s
        while not done():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            command, remote_id, local_id, data = self._packets.read_packet(left_s)
            if stream := self._open.get(local_id):  # else: the last words of one that was closed
                stream.receive(command, remote_id, data)

    def forget(self, local_id: int) -> None:
        """Drop whatever still comes for a stream."""
        self._open.pop(local_id, None)


class Stream:
    """One service of the phone."""

    def __init__(self, streams: Streams, local_id: int) -> None:
        self._streams = streams
        self._local_id = local_id
        self._inbox: deque[bytes] = deque()
        self._to_accept = 0
        self.remote_id = 0
        self.ended = False

    def receive(self, command: bytes, remote_id: int, data: bytes) -> None:
        """Take a message; for Streams."""
        if command == constants.OKAY:
            self.remote_id = self.remote_id or remote_id
            self._to_accept = max(0, self._to_accept - 1)
        elif command == constants.WRTE:
            self._inbox.append(data)
        elif command == constants.CLSE:
            self.ended = True
            self.forget()
            if self.remote_id:
                self._streams.send(constants.CLSE, self._local_id, self.remote_id)

    def read(self, timeout_s: float | None = None) -> bytes:
        """Return what comes next, b"" once the phone has ended the stream.

        timeout_s  instead of that for each answer
        """
        limit_s = self._streams.timeout_s if timeout_s is None else timeout_s
        while True:
            self._streams.deliver_until(lambda: bool(self._inbox) or self.ended, limit_s)
            if not self._inbox:
                return b""
            data = self._inbox.popleft()
            if not self.ended:
                self._streams.send(constants.OKAY, self._local_id, self.remote_id)
            if data:
                return data

    def read_all(self, timeout_s: float) -> bytes:
        """Return all that comes until the phone ends the stream, within timeout_s."""
        deadline_s = time.monotonic() + timeout_s
        parts = []
        while data := self.read(max(0.0, deadline_s - time.monotonic())):
            parts.append(data)
        return b"".join(parts)

    def write(self, data: bytes, timeout_s: float | None = None) -> None:
        """Send data, and wait until the phone has taken them.

        timeout_s  instead of that for each answer

        Raises:
            StreamEnded: it has ended the stream.
        """
        for start in range(0, len(data), self._streams.max_data):
            if self.ended:
                raise StreamEnded("the phone ended the conversation")
            self._to_accept += 1
            piece = data[start : start + self._streams.max_data]
            self._streams.send(constants.WRTE, self._local_id, self.remote_id, piece)
            limit_s = self._streams.timeout_s if timeout_s is None else timeout_s
            self._streams.deliver_until(lambda: self._to_accept == 0 or self.ended, limit_s)

    def close(self) -> None:
        """End the stream; what the phone still sends is dropped. Safe to call twice."""
        if not self.ended:
            self.ended = True
            self.forget()
            self._streams.send(constants.CLSE, self._local_id, self.remote_id)

    def forget(self) -> None:
        """Hear no more of it."""
        self._streams.forget(self._local_id)
