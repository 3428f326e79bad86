"""A simulated Canon EOS on the network: a PTP/IP responder before a camera body.

What it answers was learnt from libgphoto2's public sources and logs of real cameras; libgphoto2 takes it for the EOS it
names. It listens on 127.0.0.1 only, commands and events on one port, and serves one initiator at a time, as cameras do.
"""

from __future__ import annotations

import hashlib
import itertools
import socket
import struct
import threading
from pathlib import Path

from dpedkit.capture.simulate.cable import Cable, close_listener
from dpedkit.capture.simulate.eos_body import EosBody
from dpedkit.capture.simulate.eos_card import Card
from dpedkit.capture.simulate.eos_properties import Properties
from dpedkit.capture.simulate.eos_session import EosSession
from dpedkit.capture.simulate.faults import Script
from dpedkit.capture.simulate.ptp import ConnectionClosed, Packet, read_packet, send_packet

_VERSION = 0x00010000
_BUSY = 2
_SEAT_WAIT_S = 1.0


class EosServer:
    """Serves one body to whoever connects.

    port    on 127.0.0.1; the one asked for, or a free one
    faults  what goes wrong; None: nothing
    """

    def __init__(self, body: EosBody, port: int = 0, faults: Script | None = None) -> None:
        self._body = body
        self._faults = faults or Script()
        self._card = Card(body.card, self._faults)
        self._properties = Properties(body.spec)
        self._cable = Cable()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._seat = threading.Semaphore()  # the one initiator's
        self._numbers = itertools.count(1)
        self._session: EosSession | None = None
        self._thread = threading.Thread(target=self.serve_forever, name=f"eos-{self.port}", daemon=True)
        body.set_dials(self._properties.dials())
        body.subscribe(self._landed)

    def start(self) -> None:
        """Serve from threads of its own."""
        self._thread.start()

    def serve_forever(self) -> None:
        """Serve from this thread until `close`."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            if self._cable.plug(connection):
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Stop serving and hang up on everyone, in the middle of a transfer if need be."""
        close_listener(self._listener)
        self._cable.hang_up()

    def _serve(self, connection: socket.socket) -> None:
        """Serve one connection to its end; the first packet says what it is for."""
        try:
            kind, payload = read_packet(connection)
            if kind == Packet.INIT_COMMAND:
                self._serve_commands(connection)
            elif kind == Packet.INIT_EVENT and len(payload) == 4:
                _serve_events(connection)
        except (ConnectionClosed, OSError):
            pass  # an initiator that leaves, or dies, ends its session and nothing else
        finally:
            self._cable.forget(connection)
            connection.close()

    def _serve_commands(self, connection: socket.socket) -> None:
        """Serve one session; refuse it while another initiator holds the camera."""
        if fault := self._faults.connection():
            self._cable.pull(fault.after_s)
            return
        if not self._seat.acquire(timeout=_SEAT_WAIT_S):  # its predecessor may be about to leave
            send_packet(connection, Packet.INIT_FAIL, struct.pack("<I", _BUSY))
            return
        try:
            spec = self._body.spec
            guid = hashlib.md5(spec.serial.encode(), usedforsecurity=False).digest()
            name = f"{spec.model}\0".encode("utf-16-le")
            acknowledgement = struct.pack("<I", next(self._numbers)) + guid + name + struct.pack("<I", _VERSION)
            send_packet(connection, Packet.INIT_COMMAND_ACK, acknowledgement)
            self._session = EosSession(
                connection, self._body, self._card, self._properties, (self._faults, self._cable)
            )
            self._session.serve()
        finally:
            self._session = None
            self._seat.release()

    def _landed(self, photo: Path) -> None:
        """Tell the initiator, if there is one, of a photo; a later one will find it in the listing."""
        session = self._session
        if session is not None:
            session.photo_landed(photo)


def _serve_events(connection: socket.socket) -> None:
    """Keep the event connection open; an EOS tells its events when asked (GetEvent), not here."""
    send_packet(connection, Packet.INIT_EVENT_ACK, b"")
    while True:
        kind, _ = read_packet(connection)
        if kind == Packet.PING:
            send_packet(connection, Packet.PONG, b"")
