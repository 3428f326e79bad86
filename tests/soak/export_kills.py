"""An export that is killed (SIGKILL) at random moments, and asked for again until it is done."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # small_corpus.py is the tests'
from command_line import CommandLine, tree
from small_corpus import make_corpus

LAYOUTS = ("basicsr", "dped", "hf", "webdataset")


class Exports:
    """A workspace, and what its exports are when nothing disturbs them."""

    def __init__(self, folder: Path) -> None:
        self.root = make_corpus(folder / "ws", each=150).root
        self.cli = CommandLine(folder / "home")
        self._whole: dict[str, tuple[dict[str, str], float]] = {}

    def whole(self, layout: str) -> tuple[dict[str, str], float]:
        """Return the files of an undisturbed export with their SHA-256, and how long it took, s."""
        if layout not in self._whole:
            began_s = time.monotonic()
            self.cli.run("export", layout, f"../{layout}", "--photos", "--jobs", 2, cwd=self.root)
            self._whole[layout] = tree(self.root.parent / layout), time.monotonic() - began_s
        return self._whole[layout]

    def kill(self, seed: int) -> str:
        """Kill one twice, let it end, and compare; return what happened in a few words."""
        moments = random.Random(seed)
        layout = moments.choice(LAYOUTS)
        wanted, took_s = self.whole(layout)
        out, part = self.root.parent / "out", self.root.parent / ".out.part"
        words = ["export", layout, out, "--photos", "--jobs", 2]
        done = []
        for _ in range(2):
            process = self.cli.start(*words, cwd=self.root)
            try:
                process.communicate(timeout=moments.uniform(0.2, 1) * took_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            done.append("all" if out.exists() else str(len(list((part / "sums").glob("[!.]*")))))
        self.cli.run(*words, cwd=self.root)
        assert tree(out) == wanted
        assert not part.exists()
        shutil.rmtree(out)
        return f"1 {layout} (batches done when it was killed: {', '.join(done)})"
