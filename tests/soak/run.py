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
from pathlib import Path
from threading import Lock, local

import faults
from damages import damage_and_find
from export_kills import Exports
from kills import kill_and_resume
from mutants import read_all
from rehearsal import Rehearsal

KILLS = 200
DAMAGES = 1000
EXPORTS = 60
MUTANTS = 5000
_AT_ONCE = 50  # damages in one item
_READ_AT_ONCE = 250  # mutants in one item
_ROOT = Path(__file__).resolve().parents[2]
_RECORD = _ROOT / "docs" / "soak.json"

Item = Callable[[], str]


def main(words: list[str]) -> int:
    """Run what is missing; return how many items failed."""
    parser = argparse.ArgumentParser(description="Run the full counts.")
    parser.add_argument(
        "prefixes", nargs="*", help="only items whose names begin so: kill, fault, fsck, mutants, export"
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
    patched = _Patched(stack)
    for first in range(0, DAMAGES, _AT_ONCE):
        yield f"fsck/{first:03d}", partial(_damage, patched, range(first, first + _AT_ONCE))
    exports = _Exports(stack)
    for seed in range(EXPORTS):
        yield f"export/{seed:03d}", partial(exports.kill, seed)
    for first in range(0, MUTANTS, _READ_AT_ONCE):
        yield f"mutants/{first:04d}", partial(read_all, range(first, first + _READ_AT_ONCE))


class _Patched:
    """A workspace with photos and patches, made when it is first asked for; one item at a time has it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._root: Path | None = None
        self.lock = Lock()

    def root(self) -> Path:
        if self._root is None:
            rig = Rehearsal(
                Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "ws", scale=0.2, timeout_s=60
            )
            with rig.running():
                for words in (["capture", "--shots", 3], ["align"], ["build-patches"]):
                    process = rig.start(*words)
                    process.communicate()
                    assert process.returncode == 0, words
            self._root = rig.root
        return self._root


class _Exports:
    """A workspace to export from, made when it is first asked for; one item at a time has it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._mine: Exports | None = None
        self._lock = Lock()

    def kill(self, seed: int) -> str:
        with self._lock:
            if self._mine is None:
                self._mine = Exports(Path(self._stack.enter_context(tempfile.TemporaryDirectory())))
            return self._mine.kill(seed)


def _damage(patched: _Patched, seeds: range) -> str:
    with patched.lock:
        kinds = Counter(damage_and_find(patched.root(), seed).split()[0] for seed in seeds)
    return "found all of " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _suffer(fault: str, device: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return faults.suffer(Path(folder), fault, device)


def _commit() -> str:
    git = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "no git"


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
