"""Progress on a terminal (a bar with rate and time left) and elsewhere (a plain line now and then)."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from dpedkit.progress import Progress, Silent

_LINE_EVERY_S = 10.0


def make_progress(*, quiet: bool) -> Progress:
    """Return a progress that suits where stderr goes."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()


class Rate(ProgressColumn):
    """Steps per second, or seconds per step where that reads better."""

    def render(self, task: Task) -> Text:
        """Return the rate as text."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(_rate(speed), style="progress.data.speed")


def _rate(speed: float) -> str:
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"


class Bar:
    """A rich bar on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: RichProgress | None = None
        self._task = ""
        self._step = 0
        self._began = 0.0

    def start(self, task: str, total: int) -> None:
        """Begin a task of `total` steps."""
        self._task, self._step, self._began = task, 0, time.monotonic()
        self._bar = RichProgress(
            TextColumn("{task.description:<22}", markup=False),
            BarColumn(30),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._bar.add_task(task, total=total, note="")
        self._bar.start()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on."""
        if self._bar is not None:
            task = self._bar.tasks[0]
            self._step += steps
            self._bar.update(task.id, completed=self._step, note=note or task.fields["note"])

    def within(self, share: float) -> None:
        """Move on by a part of a step."""
        if self._bar is not None:
            self._bar.update(self._bar.tasks[0].id, completed=self._step + share)

    def done(self, summary: str = "") -> None:
        """End the task."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            took = time.monotonic() - self._began
            self._console.print(
                Text.assemble(("✓", "green"), f" {self._task:<22} {summary} ", (f"{took:.1f} s", "dim"))
            )

    def say(self, line: str) -> None:
        """Print a line that stays above the bar."""
        console = self._bar.console if self._bar is not None else self._console
        console.print(line, highlight=False, markup=False)


class Lines:
    """Plain lines on stderr: one at the start, one every ten seconds, one at the end."""

    def __init__(self) -> None:
        self._task = self._note = ""
        self._total = self._step = 0
        self._began = self._printed = 0.0

    def start(self, task: str, total: int) -> None:
        """Begin a task of `total` steps."""
        self._task, self._total, self._step, self._note = task, total, 0, ""
        self._began = self._printed = time.monotonic()
        self.say(f"{task}: 0/{total}")

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on."""
        self._step += steps
        self._note = note or self._note
        self._print_now_and_then(0)

    def within(self, share: float) -> None:
        """Move on by a part of a step."""
        self._print_now_and_then(share)

    def _print_now_and_then(self, share: float) -> None:
        now, done = time.monotonic(), self._step + share
        if now - self._printed >= _LINE_EVERY_S and done:
            self._printed = now
            speed = done / (now - self._began)
            left = f"{_rate(speed)}, {(self._total - done) / speed:.0f} s left"
            part = f" and {share:.0%} of the next" if share else ""
            self.say(f"{self._task}: {self._step}/{self._total}{part}, {left} {self._note}".rstrip())

    def done(self, summary: str = "") -> None:
        """End the task."""
        self.say(f"{self._task}: done in {time.monotonic() - self._began:.1f} s {summary}".rstrip())

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)
