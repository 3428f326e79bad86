"""What the protocol of a simulated EOS needs of the camera behind it; dpedkit.capture.simulate.body.Body is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dpedkit.capture.simulate.exif import Dials
from dpedkit.capture.simulate.faults import ScriptedFault


class EosSpec(Protocol):
    """What a camera is called."""

    @property
    def model(self) -> str:
        """As the camera names itself; libgphoto2 knows "Canon EOS 70D"."""
        ...

    @property
    def serial(self) -> str:
        """Serial number."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """What one release makes, as file endings without the dot."""
        ...

    @property
    def iso(self) -> int:
        """What it chooses where the sensitivity is left to it."""
        ...


class EosBody(Protocol):
    """The insides of a camera, as far as its protocol needs them."""

    @property
    def spec(self) -> EosSpec:
        """What the camera is called."""
        ...

    @property
    def card(self) -> Path:
        """The folder that stands for its memory card."""
        ...

    @property
    def battery_percent(self) -> int:
        """Charge left, 0 to 100."""
        ...

    def now_ns(self) -> int:
        """The camera's own clock, ns since the epoch."""
        ...

    def release(self) -> ScriptedFault | None:
        """Press the shutter; returns at once, with what is to go wrong."""
        ...

    def set_dials(self, dials: Dials) -> None:
        """Photograph with these settings from now on."""
        ...

    def subscribe(self, callback: Callable[[Path], None]) -> None:
        """Have `callback` called, from any thread, with each photo that has landed on the card."""
        ...
