"""A simulated phone's input device: raw events written into /dev/input/event2 reach the camera app.

An event is Linux's struct input_event of a 64-bit system: time (16 bytes; the kernel fills it in), type, code, value.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

NODE = "event2"

_EVENT = struct.Struct("<16xHHi")
_EV_KEY, _DOWN = 1, 1
_SHUTTER_KEYS = (0x1C, 0x72, 0x73, 0xD4, 0x14A)
"""Enter, the volume keys, the camera key, a finger on the screen: a camera app's are all the shutter."""
_END = bytes(_EVENT.size)


class InputDevice:
    """A pipe in `folder` under the device's name, read by a thread of its own; `press` is called at a shutter key."""

    def __init__(self, folder: Path, press: Callable[[], None]) -> None:
        folder.mkdir()
        os.mkfifo(folder / NODE)
        # For reading and writing: so there is always a reader, and whoever writes is never kept waiting.
        self._pipe = os.open(folder / NODE, os.O_RDWR)
        self._press = press
        self._closing = False
        self._thread = threading.Thread(target=self._listen, name="phone-input", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._closing:
            return
        self._closing = True
        os.write(self._pipe, _END)
        self._thread.join()
        os.close(self._pipe)

    def _listen(self) -> None:
        held = b""
        while not self._closing:
            held += os.read(self._pipe, 1 << 12)
            while len(held) >= _EVENT.size:
                kind, code, value = _EVENT.unpack_from(held)
                held = held[_EVENT.size :]
                if kind == _EV_KEY and code in _SHUTTER_KEYS and value == _DOWN:
                    self._press()
