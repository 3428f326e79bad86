"""A phone that is a program: an ADB daemon over TCP on 127.0.0.1.

Threads: one waits for clients, one per client reads its messages, one per stream runs its service.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from dpedkit.capture.simulate.adb_auth import TOKEN_BYTES, is_authorised
from dpedkit.capture.simulate.adb_shell_service import PhoneBody, PhoneShell, device_props
from dpedkit.capture.simulate.adb_sync import serve_sync
from dpedkit.capture.simulate.adb_wire import (
    MAX_DATA_BYTES,
    VERSION,
    Message,
    ProtocolError,
    Stream,
    StreamClosed,
    Wire,
)
from dpedkit.capture.simulate.cable import Cable, close_listener
from dpedkit.capture.simulate.faults import CablePulled, Script, ScriptedFault

_AUTH_TOKEN = 1
_AUTH_SIGNATURE = 2

USER_KEYS = (Path.home() / ".android" / "adbkey.pub",)


class AdbDaemon:
    """A simulated phone's ADB daemon.

    port             where it listens on 127.0.0.1
    authorised_keys  public key files, read anew for each client; by default this user's own, which the adb client and
                     dpedkit share: any other user of the machine is turned away, for a shell runs commands as this user
    sh               the phone's shell
    faults           what goes wrong; None: nothing
    """

    def __init__(
        self,
        body: PhoneBody,
        port: int = 0,
        authorised_keys: Sequence[Path] = USER_KEYS,
        sh: str = "/bin/sh",
        faults: Script | None = None,
    ) -> None:
        self._keys = tuple(authorised_keys)
        self.faults = faults or Script()
        self._cable = Cable()
        self._shell = PhoneShell(body, sh, self.faults, self._act_out)
        self._card = body.card
        props = device_props(body.spec)
        shown = ("ro.product.name", "ro.product.model", "ro.product.device")
        self._banner = ("device::" + "".join(f"{key}={props[key].replace(' ', '_')};" for key in shown)).encode()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._clients: dict[_Client, threading.Thread] = {}
        self._guard = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Serve from a thread of its own."""
        threading.Thread(target=self.serve_forever, name="adb-daemon", daemon=True).start()

    def serve_forever(self) -> None:
        """Serve clients until `close`."""
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed
            if not self._cable.plug(sock):
                continue
            client = _Client(Wire(sock), self)
            thread = threading.Thread(target=client.serve, name="adb-client", daemon=True)
            with self._guard:
                if self._closed:
                    client.wire.close()
                    return
                self._clients = {known: busy for known, busy in self._clients.items() if busy.is_alive()}
                self._clients[client] = thread
                thread.start()

    def close(self) -> None:
        """Stop listening and hang up on every client, as when a cable is pulled; safe to call twice."""
        with self._guard:
            self._closed = True
        close_listener(self._listener)
        self._cable.hang_up()
        for thread in self._clients.values():
            thread.join()
        self._shell.close()

    def pull_cable(self, out_s: float) -> None:
        """Break every connection, and each new one for that long."""
        self._cable.pull(out_s)

    def forget(self, wire: Wire) -> None:
        """Forget a client that has gone."""
        self._cable.forget(wire.socket)

    def _act_out(self, fault: ScriptedFault) -> None:
        """Fail as the script says at a release; what happens to the shutter is the body's business."""
        if fault.fault == "frozen":
            with self._guard:
                clients = tuple(self._clients)
            for client in clients:
                client.wire.frozen = True
        elif fault.after_s:  # the disconnecting ones
            self._cable.pull(fault.after_s)

    def is_authorised(self, token: bytes, signature: bytes) -> bool:
        """Return whether a known key signed the token."""
        return is_authorised(token, signature, self._keys)

    @property
    def banner(self) -> bytes:
        """How the phone introduces itself; it announces no features, so clients speak the oldest dialect."""
        return self._banner

    def run_service(self, name: str, stream: Stream) -> None:
        """Run a service on its stream until either side ends it."""
        kind, _, argument = name.partition(":")
        try:
            if kind == "sync":
                serve_sync(stream, self._card, self.faults)
            else:
                self._shell.serve(stream, argument, text=kind == "shell")
            stream.close()
        except StreamClosed:
            pass
        except ProtocolError:
            stream.close()
        except CablePulled as pulled:
            self._cable.pull(pulled.after_s)

    @staticmethod
    def has_service(name: str) -> bool:
        """Return whether the phone offers a service."""
        return name.partition(":")[0] in {"shell", "exec", "sync"}


class _Client:
    """One computer that has connected: it proves who it is, then opens streams."""

    def __init__(self, wire: Wire, daemon: AdbDaemon) -> None:
        self.wire = wire
        self._daemon = daemon
        self._streams: dict[int, Stream] = {}
        self._services: list[threading.Thread] = []
        self._next_id = 1
        self._token = b""
        self._authorised = False
        self._knows_keys = True

    def serve(self) -> None:
        """Answer messages until the client hangs up, or says what is not ADB."""
        try:
            while message := self.wire.read():
                if not self.wire.frozen:
                    self._answer(message)
        except (ProtocolError, StreamClosed):
            pass
        finally:
            self._daemon.forget(self.wire)
            self.wire.close()
            for stream in self._streams.values():
                stream.end()
            for service in self._services:
                service.join()

    def _answer(self, message: Message) -> None:
        if message.command == b"CNXN":
            self.wire.max_data = max(1, min(message.arg1, MAX_DATA_BYTES))
            self.wire.checksums = message.arg0 < VERSION
            fault = self._daemon.faults.connection()
            if fault and fault.fault == "disconnect_at_connect":
                self._daemon.pull_cable(fault.after_s)
                raise StreamClosed
            self._knows_keys = fault is None
            self._challenge()
        elif message.command == b"AUTH":
            self._check_identity(message)
        elif not self._authorised:
            raise ProtocolError("a message before the client was let in")
        elif message.command == b"OPEN":
            self._open(message)
        elif stream := self._streams.get(message.arg1):
            self._carry_on(stream, message)

    def _challenge(self) -> None:
        self._authorised = False
        self._token = secrets.token_bytes(TOKEN_BYTES)
        self.wire.send(b"AUTH", _AUTH_TOKEN, 0, self._token)

    def _check_identity(self, message: Message) -> None:
        """Let a known key in, ask for another; an unknown public key waits for a tap on the screen that never comes."""
        if message.arg0 != _AUTH_SIGNATURE:
            return
        if self._knows_keys and self._token and self._daemon.is_authorised(self._token, message.data):
            self._authorised = True
            self._token = b""
            self.wire.send(b"CNXN", VERSION, MAX_DATA_BYTES, self._daemon.banner)
        else:
            self._challenge()

    def _open(self, message: Message) -> None:
        name = message.data.rstrip(b"\0").decode(errors="surrogateescape")
        if not self._daemon.has_service(name):
            self.wire.send(b"CLSE", 0, message.arg0)
            return
        stream = Stream(self.wire, self._next_id, message.arg0)
        self._streams[self._next_id] = stream
        self._next_id += 1
        self.wire.send(b"OKAY", self._next_id - 1, message.arg0)
        service = threading.Thread(
            target=self._daemon.run_service, args=(name, stream), name="adb-service", daemon=True
        )
        self._services = [*(busy for busy in self._services if busy.is_alive()), service]
        service.start()

    def _carry_on(self, stream: Stream, message: Message) -> None:
        if message.command == b"WRTE":
            stream.receive(message.data)
        elif message.command == b"OKAY":
            stream.acknowledge()
        elif message.command == b"CLSE":
            del self._streams[message.arg1]
            if not stream.closed:
                stream.end()
                self.wire.send(b"CLSE", message.arg1, message.arg0)
