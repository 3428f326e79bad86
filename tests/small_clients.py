"""A simulated device with its protocol before it, and small clients that say the same of a DSLR and of a phone.

The clients are no drivers: they ask once and tell what came.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from ptp_client import session

from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.capture.simulate.adb_wire import VERSION
from dpedkit.capture.simulate.body import Body
from dpedkit.capture.simulate.eos import EosServer
from dpedkit.capture.simulate.faults import ScriptedFault
from dpedkit.capture.simulate.ptp import ConnectionClosed, Format, Operation, Status
from dpedkit.capture.simulate.specs import DeviceConfig, SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.capture.simulate.truth import Truth, load_truth

GET_EVENT, RELEASE_ON, RELEASE_OFF = 0x9116, 0x9128, 0x9129
FAST = {"lag_ms": 20.0, "jitter_ms": 0.0, "write_ms": 5.0, "cycle_ms": 5.0}
PATIENCE_S = 30.0
GONE = (ConnectionClosed, OSError, AssertionError)
"""What a client sees when the other side breaks off."""


class Client(Protocol):
    """One connection to a device."""

    def fire(self) -> int | None:
        """Press the shutter; return the status where the protocol has one."""
        ...

    def files(self) -> dict[str, int]:
        """Return path -> size of every file on the card."""
        ...

    def pull(self, path: str) -> bytes:
        """Return what comes of a file."""
        ...

    def battery_percent(self) -> int: ...

    def free_bytes(self) -> int: ...

    def settimeout(self, patience_s: float) -> None: ...

    def close(self) -> None: ...


class PtpClient:
    def __init__(self, port: int) -> None:
        self._stack = ExitStack()
        self.wire = self._stack.enter_context(session(port))
        self.handles: dict[str, int] = {}

    def fire(self) -> int:
        status, _ = self.wire.ask(RELEASE_ON, 3, 1)
        self.wire.ask(RELEASE_OFF, 3)
        return status

    def files(self) -> dict[str, int]:
        entries = {}
        for handle in self.wire.handles(0):
            status, info = self.wire.ask(Operation.GET_OBJECT_INFO, handle)
            assert status == Status.OK
            name = info[53 : 51 + 2 * info[52]].decode("utf-16-le")
            entries[handle] = (*struct.unpack_from("<4xH2xI26xI", info), name)
        found = {}
        for handle, (kind, size_bytes, parent, name) in entries.items():
            path = name
            while parent:
                _, _, parent, folder = entries[parent]  # noqa: PLW2901
                path = f"{folder}/{path}"
            if kind != Format.FOLDER:
                found[path] = size_bytes
                self.handles[path] = handle
        return found

    def pull(self, path: str) -> bytes:
        self.files()
        return self.wire.ask(Operation.GET_OBJECT, self.handles[path])[1]

    def battery_percent(self) -> int:
        return self.wire.ask(Operation.GET_DEVICE_PROP_VALUE, 0x5001)[1][0]

    def free_bytes(self) -> int:
        return int(struct.unpack_from("<14xQ", self.wire.ask(Operation.GET_STORAGE_INFO, 0x00020001)[1])[0])

    def settimeout(self, patience_s: float) -> None:
        self.wire.connection.settimeout(patience_s)

    def close(self) -> None:
        self._stack.close()


class AdbClient:
    def __init__(self, port: int, keys: Path) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._next_id = 1
        try:
            self._say(b"CNXN", VERSION, 1 << 20, b"host::\0")
            _, _, _, token = self._hear()
            self._say(b"AUTH", 2, 0, load_signer(keys).Sign(token))
            if self._hear()[0] != b"CNXN":
                raise ConnectionClosed
        except BaseException:
            self.close()
            raise

    def service(self, name: str, data: bytes = b"") -> bytes:
        """Open a service, send it `data`, and return what it says until it ends."""
        local, self._next_id, said = self._next_id, self._next_id + 1, b""
        self._say(b"OPEN", local, 0, f"{name}\0".encode())
        while True:
            command, remote, _, payload = self._hear()
            if command == b"OKAY" and data:
                self._say(b"WRTE", local, remote, data)
                data = b""
            elif command == b"WRTE":
                said += payload
                self._say(b"OKAY", local, remote)
            elif command == b"CLSE":
                self._say(b"CLSE", local, remote)
                return said

    def shell(self, command: str) -> str:
        return self.service(f"shell:{command}").decode()

    def fire(self) -> None:
        self.shell("input keyevent 27")

    def files(self) -> dict[str, int]:
        found: dict[str, int] = {}
        folders = ["/sdcard/DCIM"]
        while folders:
            folder = folders.pop()
            said = self.service("sync:", _sync(b"LIST", folder) + _sync(b"QUIT"))
            while said.startswith(b"DENT"):
                mode, size_bytes, _, length = struct.unpack_from("<4x4I", said)
                path = f"{folder}/{said[20 : 20 + length].decode()}"
                said = said[20 + length :]
                if mode & 0o40000:
                    folders.append(path)
                else:
                    found[path] = size_bytes
        return found

    def pull(self, path: str) -> bytes:
        said, data = self.service("sync:", _sync(b"RECV", path) + _sync(b"QUIT")), b""
        while said.startswith(b"DATA"):
            end = 8 + int.from_bytes(said[4:8], "little")
            data, said = data + said[8:end], said[end:]
        assert said == _sync(b"DONE")
        return data

    def battery_percent(self) -> int:
        return int(self.shell("dumpsys battery").split("level: ")[1].split()[0])

    def free_bytes(self) -> int:
        return int(self.shell("df /sdcard").splitlines()[1].split()[3]) * 1024

    def settimeout(self, patience_s: float) -> None:
        self.socket.settimeout(patience_s)

    def close(self) -> None:
        self.socket.close()

    def _say(self, command: bytes, arg0: int, arg1: int, data: bytes = b"") -> None:
        inverted = bytes(byte ^ 0xFF for byte in command)
        header = struct.pack("<4s4I4s", command, arg0, arg1, len(data), sum(data), inverted)
        self.socket.sendall(header + data)

    def _hear(self) -> tuple[bytes, int, int, bytes]:
        command, arg0, arg1, length = struct.unpack("<4s3I8x", self._exactly(24))
        return command, arg0, arg1, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionClosed
            data += part
        return data


def _sync(name: bytes, path: str = "") -> bytes:
    return name + struct.pack("<I", len(path)) + path.encode()


class Switched:
    """A simulated camera that is on."""

    def __init__(self, name: str, state: Path, keys: Path, config: DeviceConfig) -> None:
        self.state = StateFolder(state)
        self.body = Body(camera_spec(name), state, SimulatedConfig(0.02, devices={name: config}))
        self._keys = keys
        self._clients: list[Client] = []
        self.server: EosServer | AdbDaemon
        if name == "dslr":
            self.server = EosServer(self.body, faults=self.body.faults)
        else:
            self.server = AdbDaemon(self.body, authorised_keys=[keys / "adbkey.pub"], faults=self.body.faults)
        self.server.start()

    def connect(self) -> Client:
        """Raises what a client raises when it is turned away."""
        port = self.server.port
        client = PtpClient(port) if isinstance(self.server, EosServer) else AdbClient(port, self._keys)
        self._clients.append(client)
        return client

    def reconnect(self) -> Client:
        """Connect as soon as the device lets anybody in."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.connect()
            except GONE:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def whole(self, client: Client, count: int) -> list[str]:
        """Return the paths on the card as soon as there are that many, in the order of their releases."""
        wait(lambda: len(client.files()) == count)
        return sorted(client.files(), key=lambda path: self.truth(path).release)

    def on_card(self, path: str) -> bytes:
        """Return a file as it lies on the card."""
        return (self.body.card / path.removeprefix("/sdcard").lstrip("/")).read_bytes()

    def truth(self, path: str) -> Truth:
        """Return the truth about a file on the card."""
        return load_truth(self.state.truth, hashlib.sha256(self.on_card(path)).hexdigest())

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.server.close()
        self.body.close()


@contextmanager
def no_answer() -> Iterator[None]:
    """Expect that the other side breaks off, or says nothing."""
    try:
        yield
    except GONE:
        return
    raise AssertionError("the device answered")


def wait(until: Callable[[], bool]) -> None:
    """Wait for something that is on its way."""
    deadline = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fault(name: str, *shots: int, after_s: float = 0.0) -> ScriptedFault:
    """Return a line of a script."""
    return ScriptedFault(name, shots, after_s)
