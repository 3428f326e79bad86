"""Another phone: the least that speaks ADB, written from the protocol and nothing of ours.

One thread per connection reads messages and answers; shells run in threads of their own. What it leaves out can be
chosen: checksums, tools, large messages, the sync service's patience.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path


class SmallDaemon:
    """A phone without authentication, whose /sdcard is a folder.

    max_data         the most bytes it takes in one message, and sends
    checksums        whether its messages carry them; since version 0x01000001 they need not
    terminal         whether its shell ends lines with CR LF, as before Android 7
    tools            the only programs that its shell finds
    one_per_stream   whether it ends a sync stream after one answer
    """

    def __init__(
        self,
        card: Path,
        tools: Path,
        *,
        max_data: int = 4096,
        checksums: bool = True,
        terminal: bool = False,
        one_per_stream: bool = False,
        sh: str = "/bin/sh",
    ) -> None:
        self.card, self.tools, self.sh = card, tools, sh
        self.max_data, self.checksums = max_data, checksums
        self.terminal, self.one_per_stream = terminal, one_per_stream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(sock)
                threading.Thread(target=_Connection(self, sock).run, daemon=True).start()


class _Connection:
    def __init__(self, daemon: SmallDaemon, sock: socket.socket) -> None:
        self.daemon, self.sock = daemon, sock
        self.sending = threading.Lock()
        self.services: dict[int, _Service] = {}

    def run(self) -> None:
        with suppress(OSError, struct.error):
            while True:
                command, arg0, arg1, data = self.read()
                if command == b"CNXN":
                    self.send(b"CNXN", 0x01000001, self.daemon.max_data, b"device::ro.product.name=small;")
                elif command == b"OPEN":
                    self.open(arg0, data.rstrip(b"\0").decode())
                elif service := self.services.get(arg1):
                    service.hear(command, data)
        for service in self.services.values():
            service.hear(b"CLSE", b"")

    def open(self, remote: int, name: str) -> None:
        kind = name.partition(":")[0]
        if kind not in {"shell", "sync"}:
            self.send(b"CLSE", 0, remote)
            return
        local = 100 + 7 * (len(self.services) + 1)
        service = _Service(self, local, remote)
        self.services[local] = service
        self.send(b"OKAY", local, remote)
        run = service.shell if kind == "shell" else service.sync
        threading.Thread(target=self.quietly, args=(run, name.partition(":")[2]), daemon=True).start()

    @staticmethod
    def quietly(run: object, argument: str) -> None:
        with suppress(OSError, struct.error, EOFError):
            run(argument)  # type: ignore[operator]

    def send(self, command: bytes, arg0: int, arg1: int, data: bytes = b"") -> None:
        checksum = sum(data) if self.daemon.checksums else 0
        inverted = bytes(255 - byte for byte in command)
        with self.sending:
            self.sock.sendall(struct.pack("<4sIIII4s", command, arg0, arg1, len(data), checksum, inverted) + data)

    def read(self) -> tuple[bytes, int, int, bytes]:
        command, arg0, arg1, length, checksum, _ = struct.unpack("<4sIIII4s", self.exactly(24))
        if length > max(self.daemon.max_data, 4096):
            raise OSError("a message that I did not say I take")
        data = self.exactly(length)
        if sum(data) != checksum:
            raise OSError("wrong checksum")
        return command, arg0, arg1, data

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                raise OSError("gone")
            data += piece
        return data


class _Service:
    def __init__(self, connection: _Connection, local: int, remote: int) -> None:
        self.connection, self.local, self.remote = connection, local, remote
        self.heard = threading.Condition()
        self.ready = self.over = False
        self.input = b""

    def hear(self, command: bytes, data: bytes) -> None:
        with self.heard:
            if command == b"OKAY":
                self.ready = True
            elif command == b"WRTE":
                self.input += data
                self.connection.send(b"OKAY", self.local, self.remote)
            elif command == b"CLSE":
                self.over = True
            self.heard.notify_all()

    def say(self, data: bytes) -> None:
        for start in range(0, len(data), self.connection.daemon.max_data):
            with self.heard:
                self.ready = False
                piece = data[start : start + self.connection.daemon.max_data]
                self.connection.send(b"WRTE", self.local, self.remote, piece)
                self.heard.wait_for(lambda: self.ready or self.over)
                if self.over:
                    raise EOFError

    def close(self) -> None:
        self.connection.send(b"CLSE", self.local, self.remote)

    def take(self, count: int) -> bytes:
        with self.heard:
            self.heard.wait_for(lambda: len(self.input) >= count or self.over)
            if len(self.input) < count:
                raise EOFError
            data, self.input = self.input[:count], self.input[count:]
            return data

    def shell(self, command: str) -> None:
        daemon = self.connection.daemon
        done = subprocess.run(
            [daemon.sh, "-c", command.replace("/sdcard", str(daemon.card))],
            env={"PATH": str(daemon.tools)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self.say(done.stdout.replace(b"\n", b"\r\n") if daemon.terminal else done.stdout)
        self.close()

    def sync(self, _: str) -> None:
        while True:
            name, length = struct.unpack("<4sI", self.take(8))
            path = self.take(length).decode()
            local = Path(str(self.connection.daemon.card) + path.removeprefix("/sdcard"))
            if name == b"STAT":
                self.say(b"STAT" + self.fields(local))
            elif name == b"LIST":
                names = [".", "..", *sorted(child.name for child in local.iterdir())] if local.is_dir() else []
                for raw in map(str.encode, names):
                    self.say(b"DENT" + self.fields(local / raw.decode()) + struct.pack("<I", len(raw)) + raw)
                self.say(b"DONE" + bytes(16))
            elif name == b"RECV" and local.is_file():
                with local.open("rb") as file:
                    while data := file.read(65536):
                        self.say(b"DATA" + struct.pack("<I", len(data)) + data)
                self.say(b"DONE" + bytes(4))
            else:
                self.say(b"FAIL" + struct.pack("<I", 7) + b"no file")
            if self.connection.daemon.one_per_stream or name == b"QUIT":
                self.close()
                return

    @staticmethod
    def fields(path: Path) -> bytes:
        try:
            status = path.stat()
        except OSError:
            return bytes(12)
        return struct.pack("<III", status.st_mode, status.st_size, int(status.st_mtime))
