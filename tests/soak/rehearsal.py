"""A workspace of simulated devices, and the check that every soak ends with: nothing lost, doubled or mixed up."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from dpedkit.capture.rig import rig_template
from dpedkit.capture.simulate.truth import load_truth
from dpedkit.db import open_corpus
from dpedkit.workspace import create_workspace

DPEDKIT = Path(sys.executable).with_name("dpedkit")
NAMES = ("dslr", "sony", "blackberry", "iphone")

Event = dict[str, Any]


class Rehearsal:
    """One workspace with the simulated rig.

    scale      of its photos
    timeout_s  of every device
    more       what stands at the end of the rig file, such as faults
    """

    def __init__(self, root: Path, *, scale: float = 0.02, timeout_s: float = 6.0, more: str = "") -> None:
        self.root = root
        text = rig_template("simulated").replace("scale = 0.25", f"scale = {scale}")
        text = text.replace('driver = "', f'timeout_s = {timeout_s}\ndriver = "')
        create_workspace(root, {"tripod": f"{text}\n{more}"})
        home = root.parent / f"{root.name}-home"
        home.mkdir()
        self.environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the devices switched on."""
        with self.start("simulate") as process:
            assert process.stdout is not None
            while not (line := process.stdout.readline()).startswith("running"):
                assert line, "the simulated rig did not start"
            try:
                yield
            finally:
                process.terminate()
                process.communicate()

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start a command."""
        command = [str(DPEDKIT), "-C", str(self.root), *map(str, words)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, env=self.environment, text=True, **pipes)

    def run(self, *words: object, timeout_s: float = 120) -> tuple[int, list[Event], str]:
        """Run a command with --json to its end; return its exit code, its events, and what it said beside them.

        A command that hangs is an error.
        """
        command = [str(DPEDKIT), "-C", str(self.root), *map(str, words), "--json"]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    @property
    def state(self) -> Path:
        """Where the simulated devices live."""
        return self.root / ".simulated" / "tripod"

    def photos_taken(self) -> dict[str, Path]:
        """Every photo on the devices' cards: SHA-256 -> file."""
        cards = [path for name in NAMES for path in (self.state / name / "card").rglob("*") if path.is_file()]
        return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in cards}

    def check(self, *, but: frozenset[str] = frozenset()) -> pd.DataFrame:
        """Every photo on a card is stored once, whole, in the shot it was taken for; return the shots.

        but  devices whose photos may be missing here, as long as none of those that are here is wrong
        """
        with open_corpus(self.root) as corpus:
            photos, shots = corpus.photos(), corpus.shots()
        stored = {path: path.read_bytes() for path in (self.root / "photos").glob("*/[0-9]*")}
        hashes = Counter(hashlib.sha256(data).hexdigest() for data in stored.values())
        assert not list((self.root / "photos").rglob("*.part")), "half a photo was left"
        assert hashes == Counter(photos["sha256"]), "the corpus and the folder differ"
        assert set(hashes.values()) <= {1}, "a photo is stored twice"
        assert (shots["reason"] != "not finished").all(), "a shot is not accounted for"
        taken = self.photos_taken()
        for sha256, path in taken.items():
            device = path.relative_to(self.state).parts[0]
            assert sha256 in hashes or device in but, f"{path} is lost"
        planned = shots.set_index("shot")["scheduled_ns"]
        for row in photos.itertuples():
            truth = load_truth(self.state / "truth", str(row.sha256))
            assert truth.camera == row.device, "the photo of another device"
            late_s = (truth.released_ns - planned[row.shot]) / 1e9
            assert abs(late_s) < 0.6, f"{row.path} was taken {late_s:.1f} s after its shot"
        return shots
