"""The folder in which a simulated rig lives.

scene.json              which scene stands before the cameras
board.lock              held while a screen that shows the clock board stands before the scene
scenes/                 scenes already drawn, shared by all cameras
truth/<sha256>.json     what is true of each photo; no protocol serves it
<camera>/card/          the camera's memory card: all that its protocol serves
<camera>/darkroom/      photos rendered ahead
<camera>/port.json      where the camera's process listens
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpedkit.files import write_atomic


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths of one rig's state, and the scene it stands before."""

    root: Path

    @property
    def truth(self) -> Path:
        """Where the truth about each photo goes."""
        return self.root / "truth"

    @property
    def scenes(self) -> Path:
        """Where drawn scenes are kept for the other cameras."""
        return self.root / "scenes"

    def card(self, camera: str) -> Path:
        """A camera's memory card."""
        return self.root / camera / "card"

    def darkroom(self, camera: str) -> Path:
        """Where a camera's photos wait that were rendered ahead."""
        return self.root / camera / "darkroom"

    def port(self, camera: str) -> Path:
        """The file in which a camera's process says where it listens."""
        return self.root / camera / "port.json"

    def log(self, camera: str) -> Path:
        """What a camera's process had to say."""
        return self.root / camera / "log.txt"

    @property
    def running(self) -> Path:
        """Settings and addresses of the rig that runs here; only of use while its lock is held."""
        return self.root / "running.json"

    def scene(self) -> int:
        """Index of the scene that stands before the cameras now."""
        try:
            return int(json.loads((self.root / "scene.json").read_text())["index"])
        except FileNotFoundError:
            return 0

    def show_scene(self, index: int) -> None:
        """Turn the tripod to scene `index`."""
        self.root.mkdir(parents=True, exist_ok=True)
        write_atomic(self.root / "scene.json", json.dumps({"index": index}).encode())

    @contextmanager
    def showing_board(self) -> Iterator[None]:
        """Have the clock board stand before the cameras; it is gone with this process, however that ends."""
        self.root.mkdir(parents=True, exist_ok=True)
        with self._board_lock.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def is_board_shown(self) -> bool:
        """Whether the clock board stands before the cameras."""
        try:
            with self._board_lock.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def _board_lock(self) -> Path:
        return self.root / "board.lock"
