"""Runs the full counts that the suite takes a few seeds of: python tests/soak/run.py [--jobs N] [PREFIX ...].

Each item is written down when it is done (docs/soak.json), with the commit it ran on; a run that was stopped goes on
with what is missing. Items that failed are run again. `--again` begins anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from operator import methodcaller
from pathlib import Path
from threading import Lock, local
from typing import Generic, TypeVar

import faults
from damages import damage_and_find
from export_kills import Exports
from hostiles import feed
from kills import kill_and_resume
from mutants import read_all
from pipeline_kills import Pipeline
from rehearsal import Rehearsal
from study_kills import study_through_a_kill
from uploads import site

KILLS = 200
DAMAGES = 1000
PIPELINES, EXPORTS = 200, 60
MUTANTS = 5000
HOSTILES = 2000
UPLOADS, _SENT_AT_ONCE = 2000, 100
STUDIES, SUBJECTS = 20, 50
_AT_ONCE = 50  # damages in one item
_READ_AT_ONCE = 250  # mutants, or hostile files, in one item
_ROOT = Path(__file__).resolve().parents[2]
_RECORD = _ROOT / "docs" / "soak.json"

Item = Callable[[], str]
Thing = TypeVar("Thing")


def main(words: list[str]) -> int:
    """Run what is missing; return how many items failed."""
    parser = argparse.ArgumentParser(description="Run the full counts.")
    parser.add_argument(
        "prefixes",
        nargs="*",
        help="only items whose names begin so: kill, fault, fsck, pipeline, export, mutants, hostile, upload, study",
    )
    parser.add_argument("--jobs", type=int, default=1, help="items side by side")
    parser.add_argument("--again", action="store_true", help="also those that have passed")
    options = parser.parse_args(words)
    done = {} if options.again or not _RECORD.exists() else json.loads(_RECORD.read_text())
    writing = Lock()
    with ExitStack() as stack, ThreadPoolExecutor(options.jobs) as pool:
        todo = {
            name: item
            for name, item in items(stack)
            if name.startswith(tuple(options.prefixes) or "") and not done.get(name, {}).get("passed")
        }

        def run(name: str) -> bool:
            began_s = time.monotonic()
            try:
                passed, words = True, todo[name]()
            except Exception as error:
                passed, words = False, f"{type(error).__name__}: {error}"[:1000]
            entry = {"passed": passed, "what": words, "took_s": round(time.monotonic() - began_s, 1)}
            with writing:
                done[name] = {**entry, "when": f"{datetime.now(UTC):%Y-%m-%d}", "commit": _commit()}
                _RECORD.write_text(json.dumps(dict(sorted(done.items())), indent=1) + "\n")
                print(f"{'ok  ' if passed else 'FAIL'} {name} {entry['took_s']} s: {words}", flush=True)
            return passed

        return len(todo) - sum(pool.map(run, todo))


def items(stack: ExitStack) -> Iterator[tuple[str, Item]]:
    """Yield every item by name. Kills share a rig per thread, whose devices live on, as real ones do."""
    rigs = local()

    def rig() -> Rehearsal:
        if not hasattr(rigs, "mine"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            rigs.mine = Rehearsal(folder / "ws")
            stack.enter_context(rigs.mine.running())
        mine: Rehearsal = rigs.mine
        return mine

    for seed in range(KILLS):
        yield f"kill/{seed:03d}", lambda seed=seed: kill_and_resume(rig(), seed)  # type: ignore[misc]
    for fault, device in faults.CASES:
        yield f"fault/{fault}/{device}", partial(_suffer, fault, device)

    def folder() -> Path:
        return Path(stack.enter_context(tempfile.TemporaryDirectory()))

    patched = _One(lambda: _patched(folder()))
    for first in range(0, DAMAGES, _AT_ONCE):
        yield f"fsck/{first:03d}", partial(patched.use, partial(_damage, range(first, first + _AT_ONCE)))
    pipeline = _One(lambda: Pipeline(folder()))
    for seed in range(PIPELINES):
        yield f"pipeline/{seed:03d}", partial(pipeline.use, methodcaller("kill", seed))
    exports = _One(lambda: Exports(folder()))
    for seed in range(EXPORTS):
        yield f"export/{seed:03d}", partial(exports.use, methodcaller("kill", seed))
    for first in range(0, MUTANTS, _READ_AT_ONCE):
        yield f"mutants/{first:04d}", partial(read_all, range(first, first + _READ_AT_ONCE))
    for first in range(0, HOSTILES, _READ_AT_ONCE):
        yield f"hostile/{first:04d}", partial(feed, range(first, first + _READ_AT_ONCE))
    attacked = _One(lambda: stack.enter_context(site(folder())))
    for first in range(0, UPLOADS, _SENT_AT_ONCE):
        yield f"upload/{first:04d}", partial(attacked.use, methodcaller("attack", range(first, first + _SENT_AT_ONCE)))
    for seed in range(STUDIES):
        yield f"study/{seed:03d}", partial(study_through_a_kill, SUBJECTS, seed)


class _One(Generic[Thing]):
    """Something that takes long to make: made when it is first asked for, used by one item at a time."""

    def __init__(self, make: Callable[[], Thing]) -> None:
        self._make, self._lock = make, Lock()
        self._made: Thing | None = None

    def use(self, how: Callable[[Thing], str]) -> str:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return how(self._made)


def _patched(folder: Path) -> Path:
    """Return a workspace with photos and patches."""
    rig = Rehearsal(folder / "ws", scale=0.2, timeout_s=60)
    with rig.running():
        for words in (["capture", "--shots", 3], ["align"], ["build-patches"]):
            process = rig.start(*words)
            process.communicate()
            assert process.returncode == 0, words
    return rig.root


def _damage(seeds: range, root: Path) -> str:
    kinds = Counter(damage_and_find(root, seed).split()[0] for seed in seeds)
    return "found all of " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _suffer(fault: str, device: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return faults.suffer(Path(folder), fault, device)


def _commit() -> str:
    git = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "no git"


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
