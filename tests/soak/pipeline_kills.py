"""import, align, build-patches, measure, curate and snapshot, killed (SIGKILL) at random, and asked for again."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

from canonical import canonical
from command_line import CommandLine, shards
from pair_truth import make_pair

from dpedkit.images import encode_jpeg

PAIRS = 6  # enough to agree on their lenses
RULES = """
name = "sharp"
version = 1

[[rule]]
name = "third"
where = "shot like '*0003'"
decide = "reject"
why = "a ghost"
"""
STAGES = ("import", "align", "build-patches", "measure", "curate", "snapshot")


class Pipeline:
    """Photos on their way to a snapshot: the workspace as it is before each stage, and after it undisturbed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cli = folder, CommandLine(folder / "home")
        self._words: dict[str, tuple[object, ...]] = {
            "import": ("import", "folder", "--pair-by=name", f"--dslr={folder}/dslr", f"--phone=sony={folder}/sony"),
            "align": ("align", "--jobs", 2),
            "build-patches": ("build-patches", "--size", 64, "--jobs", 2),
            "measure": ("measure", "--jobs", 2),
            "curate": ("curate", "--rules", folder / "rules.toml"),
            "snapshot": ("snapshot", "create", "first"),
        }
        self._took_s: dict[str, float] = {}
        self._make()

    def _make(self) -> None:
        """Render the photos and go through all stages, keeping a copy before each."""
        for number in range(PAIRS):
            pair = make_pair(seed=number)
            for name, photo in (("dslr", pair.dslr), ("sony", pair.phone)):
                (self.folder / name).mkdir(exist_ok=True)
                (self.folder / name / f"{number}.jpg").write_bytes(encode_jpeg(photo, quality=95))
        (self.folder / "rules.toml").write_text(RULES)
        root = self.folder / "whole"
        self.cli.run("init", root, cwd=self.folder)
        for stage in STAGES:
            shutil.copytree(root, self._before(stage))
            began_s = time.monotonic()
            self.cli.run(*self._words[stage], cwd=root)
            self._took_s[stage] = time.monotonic() - began_s
        shutil.copytree(root, self.folder / "before the end")

    def _before(self, stage: str) -> Path:
        return self.folder / f"before {stage}"

    def kill(self, seed: int) -> str:
        """Kill one stage twice, let it end, and compare; return what happened in a few words."""
        draw = random.Random(seed)
        stage = STAGES[seed % len(STAGES)]
        after = ([*map(self._before, STAGES), self.folder / "before the end"])[STAGES.index(stage) + 1]
        root = self.folder / "killed"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self._before(stage), root)
        codes = []
        for _ in range(2):
            end_s = time.monotonic() + draw.uniform(0.2, 1.1) * self._took_s[stage]
            is_time = lambda end_s=end_s: time.monotonic() > end_s  # noqa: E731
            codes.append(
                self.cli.stop_when(is_time, signal.SIGKILL, *self._words[stage], cwd=root, group=True).returncode
            )
        self.cli.run(*self._words[stage], cwd=root)
        assert canonical(root) == canonical(after)
        assert shards(root) == shards(after)
        self.cli.run("fsck", cwd=root)
        return f"1 {stage} (before its end {codes.count(-signal.SIGKILL) or 'never'})"
