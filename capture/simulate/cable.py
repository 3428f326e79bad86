"""The cable of a simulated device: every connection to it, and pulling it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress


class Cable:
    """All connections of one device. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._in_again_s = 0.0

    def plug(self, connection: socket.socket) -> bool:
        """Take a new connection in; while the cable is out it is broken at once, and False returned."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else answers wait 40 ms for a delayed ACK
        with self._lock:
            if time.monotonic() >= self._in_again_s:
                self._sockets.add(connection)
                return True
        _reset_on_close(connection)
        connection.close()
        return False

    def forget(self, connection: socket.socket) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._sockets.discard(connection)

    def pull(self, out_s: float) -> None:
        """Break every connection, and each new one for that long."""
        with self._lock:
            self._in_again_s = time.monotonic() + out_s
            for connection in self._sockets:
                with suppress(OSError):  # it has ended in this moment
                    _reset_on_close(connection)
        self.hang_up()

    def hang_up(self) -> None:
        """End every connection, in the middle of a transfer if need be; threads that wait on one are woken."""
        with self._lock:
            broken = tuple(self._sockets)
        for connection in broken:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def close_listener(listener: socket.socket) -> None:
    """Stop listening, and wake the thread that waits in accept."""
    with suppress(OSError):  # on some systems a listener cannot be shut down, and closing it is enough
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _reset_on_close(connection: socket.socket) -> None:
    """Have the other side see an error and not an end, once the socket is closed: nobody said goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
