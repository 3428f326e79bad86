"""What can go wrong with a simulated device: the one table of names, and the script that says when.

Releases are counted from 1 since the device was switched on; an attempt counts, also one that a fault swallows, so that
a fault of shot 3 ends with shot 3. A state of the device (card_full, battery_low, screen_locked) holds from the moment
the shot before has been fired. Connections are counted likewise; one that comes while the cable is out does not count.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Role = Literal["dslr", "phone"]

_BOTH: tuple[Role, ...] = ("dslr", "phone")
_DAMAGE = b"\xff\xc0" * 32
"""What damaged bytes read: the mark that begins a JPEG's picture, again and again. Where a camera tells no checksum,
only the picture itself can be looked at, and decoders stumble over this; a flipped bit nobody could notice there."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table.

    meaning  one line for people
    counts   what `shots` numbers: releases, the connections of a client, or the releases whose photo is being pulled
    roles    the devices it can happen to
    after_s  what `after_s` is unless the rig file says; None: the fault takes no time
    """

    meaning: str
    counts: Literal["release", "connection", "pull"] = "release"
    roles: tuple[Role, ...] = _BOTH
    after_s: float | None = None


FAULTS = MappingProxyType(
    {
        "disconnect_at_connect": FaultKind("hangs up on who connects; back after_s later", "connection", after_s=1),
        "disconnect_at_fire": FaultKind("cable out at the release, nothing exposed; back after_s later", after_s=1),
        "disconnect_after_fire": FaultKind("exposes, cable out at once; back after_s later", after_s=1),
        "disconnect_mid_pull": FaultKind("cable out after half of the file; back after_s later", "pull", after_s=1),
        "wrong_size": FaultKind("sends half of the bytes it announced, and says that is all", "pull"),
        "corrupt": FaultKind("bytes are damaged on the wire", "pull"),
        "corrupt_on_card": FaultKind("the file on the card is damaged"),
        "no_file": FaultKind("exposes, and never writes a file"),
        "late_file": FaultKind("the file appears after_s late", after_s=3),
        "slow_file": FaultKind("the file grows on the card for after_s", after_s=2),
        "duplicate_name": FaultKind("the file gets the name of the one before it, in a new folder"),
        "card_full": FaultKind("no room on the card; nothing is exposed"),
        "battery_low": FaultKind("3 percent of charge left"),
        "screen_locked": FaultKind("locked with a PIN; the release goes nowhere", roles=("phone",)),
        "unauthorized": FaultKind("knows no computer's key", "connection", roles=("phone",)),
        "busy": FaultKind("answers the release with Device Busy", roles=("dslr",)),
        "slow_trigger": FaultKind("the shutter opens after_s after the release", after_s=2.5),
        "frozen": FaultKind("takes the release, exposes nothing, answers no more until reconnected"),
        "exposure_jump": FaultKind("from that shot on exposes 1 EV brighter, and says so in EXIF", roles=("phone",)),
        "wb_jump": FaultKind("from that shot on the white balance is warmer", roles=("phone",)),
    }
)
_NOTHING_EXPOSED = ("disconnect_at_fire", "card_full", "screen_locked", "busy", "frozen")
_ACTED_OUT = (*_NOTHING_EXPOSED, "disconnect_after_fire")
_PULL_FAULTS = tuple(name for name, kind in FAULTS.items() if kind.counts == "pull")


@dataclass(frozen=True, slots=True)
class ScriptedFault:
    """A fault of one device.

    shots  when, counted from 1; empty: always
    """

    fault: str
    shots: tuple[int, ...] = ()
    after_s: float = 0.0


def damaged(data: bytes) -> bytes:
    """Return a file of the same size, damaged near its end, behind the tables that every JPEG begins with."""
    at = _place_of_damage(len(data))
    return (data[:at] + _DAMAGE + data[at + len(_DAMAGE) :])[: len(data)]


def _place_of_damage(size_bytes: int) -> int:
    return size_bytes * 7 // 8


class CablePulled(Exception):
    """The cable has been pulled in the middle of a transfer.

    after_s  when it is back
    """

    def __init__(self, after_s: float) -> None:
        super().__init__(after_s)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Attempt:
    """One press of the shutter button.

    number   counted from 1
    exposes  whether the shutter will open
    fault    what else the device's protocol has to act out
    """

    number: int
    exposes: bool
    fault: ScriptedFault | None


class Script:
    """When things go wrong with one device. Every method may be called from any thread."""

    def __init__(self, faults: Sequence[ScriptedFault] = ()) -> None:
        self._faults = tuple(faults)
        self._lock = threading.Lock()
        self._releases = 0
        self._connections = 0
        self._pulls: dict[Path, set[ScriptedFault]] = {}

    def release(self) -> Attempt:
        """Count an attempt to release."""
        with self._lock:
            self._releases += 1
            number = self._releases
        fault = next(filter(None, (self.at(name, number) for name in _ACTED_OUT)), None)
        return Attempt(number, fault is None or fault.fault not in _NOTHING_EXPOSED, fault)

    def connection(self) -> ScriptedFault | None:
        """Count a connection, and return what becomes of it."""
        with self._lock:
            self._connections += 1
            number = self._connections
        return self.at("disconnect_at_connect", number) or self.at("unauthorized", number)

    @property
    def next_release(self) -> int:
        """The number of the release to come."""
        return self._releases + 1

    def at(self, name: str, number: int) -> ScriptedFault | None:
        """Return the fault of that name if it happens at that number."""
        return next((f for f in self._faults if f.fault == name and (not f.shots or number in f.shots)), None)

    def since(self, name: str, number: int) -> bool:
        """Return whether that fault has begun by that number."""
        return any(f.fault == name and (not f.shots or number >= min(f.shots)) for f in self._faults)

    def now(self, name: str) -> bool:
        """Return whether the device is in that state: the one of the release to come."""
        return self.at(name, self.next_release) is not None

    def wrote(self, photo: Path, number: int) -> None:
        """Note which release made a photo, where that matters for its pulls."""
        scripted = {fault for fault in self._faults if fault.fault in _PULL_FAULTS and number in fault.shots}
        if scripted:
            with self._lock:
                self._pulls[photo.resolve()] = scripted

    def tamper(self, photo: Path, chunks: Iterable[bytes], offset_bytes: int = 0) -> Iterator[bytes]:
        """Yield a photo's bytes as they come over the wire.

        A fault of certain shots strikes at the first pull of each of their files, one of no shots at every pull.

        offset_bytes  where in the file the chunks begin

        Raises:
            CablePulled: after half of the file.
        """
        fault = self._fault_of_pull(photo)
        if fault is None:
            yield from chunks
            return
        if fault.fault == "corrupt":
            yield from self._damage(photo, fault, chunks, offset_bytes)
            return
        left = photo.stat().st_size // 2 - offset_bytes
        for chunk in chunks:
            if not 0 <= left < len(chunk):
                yield chunk
                left -= len(chunk)
                continue
            self._used_up(photo, fault)
            if left:
                yield chunk[:left]
            if fault.fault == "disconnect_mid_pull":
                raise CablePulled(fault.after_s)
            return

    def _damage(self, photo: Path, fault: ScriptedFault, chunks: Iterable[bytes], offset_bytes: int) -> Iterator[bytes]:
        size_bytes = photo.stat().st_size
        mask = damaged(bytes(size_bytes))
        position = offset_bytes
        for chunk in chunks:
            overlay = mask[position : position + len(chunk)]
            position += len(chunk)
            if any(overlay):
                self._used_up(photo, fault)
            yield bytes(new or old for new, old in zip(overlay, chunk, strict=True)) if any(overlay) else chunk

    def sent_size(self, photo: Path, offset_bytes: int, size_bytes: int) -> int:
        """Return how many of `size_bytes` from `offset_bytes` on will be sent: fewer at the fault wrong_size."""
        fault = self._fault_of_pull(photo)
        if fault is None or fault.fault != "wrong_size":
            return size_bytes
        middle = photo.stat().st_size // 2 - offset_bytes
        return middle if 0 <= middle < size_bytes else size_bytes

    def _fault_of_pull(self, photo: Path) -> ScriptedFault | None:
        with self._lock:
            scripted = self._pulls.get(photo.resolve(), set())
        return next((f for f in self._faults if f in scripted or (f.fault in _PULL_FAULTS and not f.shots)), None)

    def _used_up(self, photo: Path, fault: ScriptedFault) -> None:
        with self._lock:
            self._pulls.get(photo.resolve(), set()).discard(fault)
