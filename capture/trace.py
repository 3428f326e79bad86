"""What was said between us and the devices, line by line, for whoever has to find out what happened.

Each line is a JSON object:

    t_ns      when, host wall clock, ns since the epoch
    device    its name in the rig
    wire      "adb" or "ptp"
    way       "sent" (to the device) or "received"
    data      the bytes in hexadecimal; or, where they are many (photos), size_bytes and sha256 instead

and, for ADB, the message's command, arg0 and arg1. Serial numbers and names of owners are overwritten with "X".
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from dpedkit.files import storage_error

MOST_BYTES = 4096
_SHORTEST_SECRET = 4

Wire = Literal["adb", "ptp"]
Way = Literal["sent", "received"]


class Trace:
    """A file to which conversations are appended. Every method may be called from any thread.

    What a device says is kept back until `reveal` tells which of it is secret.

    clock_ns  the host's wall clock

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, clock_ns: Callable[[], int] = time.time_ns) -> None:
        try:
            self._stream = path.open("a", encoding="utf-8", buffering=1)  # line by line
        except OSError as error:
            raise storage_error(error, path) from error
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._secrets: dict[str, tuple[bytes, ...]] = {}
        self._held: dict[str, list[tuple[dict[str, object], bytes]]] = {}

    def add(
        self, device: str, wire: Wire, way: Way, data: bytes, message: Mapping[str, str | int] | None = None
    ) -> None:
        """Append what was said.

        message  more to tell of it: an ADB message's command, arg0 and arg1
        """
        line: dict[str, object] = {"t_ns": self._clock_ns(), "device": device, "wire": wire, "way": way}
        line |= message or {}
        with self._lock:
            if device in self._secrets:
                self._write(line, data, self._secrets[device])
            else:
                self._held.setdefault(device, []).append((line, data))

    def reveal(self, device: str, secrets: Iterable[str]) -> None:
        """Name what is never to be written of a device (its serial numbers); what was kept back is written now."""
        known = tuple(
            secret.encode(coding)
            for secret in sorted({*secrets}, key=len, reverse=True)
            if len(secret) >= _SHORTEST_SECRET
            for coding in ("utf-8", "utf-16-le")
        )
        with self._lock:
            self._secrets[device] = tuple(dict.fromkeys((*self._secrets.get(device, ()), *known)))
            for line, data in self._held.pop(device, []):
                self._write(line, data, self._secrets[device])

    def close(self) -> None:
        """Write what is left: of a device that never told its serial number, only how much it said."""
        with self._lock:
            for held in self._held.values():
                for line, data in held:
                    self._put(line | {"size_bytes": len(data)})
            self._held.clear()
            self._stream.close()

    def _write(self, line: dict[str, object], data: bytes, secrets: Iterable[bytes]) -> None:
        if len(data) > MOST_BYTES:
            self._put(line | {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
            return
        for secret in secrets:
            width = 2 if b"\0" in secret else 1
            data = data.replace(secret, (b"X\0" if width == 2 else b"X") * (len(secret) // width))
        self._put(line | {"data": data.hex()})

    def _put(self, line: Mapping[str, object]) -> None:
        if not self._stream.closed:
            self._stream.write(f"{json.dumps(line)}\n")
