"""How far long work has come: stages report it, the command line draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Something that shows the advance of one task at a time."""

    def start(self, task: str, total: int) -> None:
        """Begin a task of `total` steps."""
        ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on; `note` is a short text of the moment, such as a loss."""
        ...

    def within(self, share: float) -> None:
        """Say how much of the next step is done, 0 to 1."""
        ...

    def done(self, summary: str = "") -> None:
        """End the task; `summary` replaces the bar."""
        ...

    def say(self, line: str) -> None:
        """Print a line that stays."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, task: str, total: int) -> None:
        """Begin a task."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on."""

    def within(self, share: float) -> None:
        """Say how much of a step is done."""

    def done(self, summary: str = "") -> None:
        """End the task."""

    def say(self, line: str) -> None:
        """Print a line."""


def track(progress: Progress, task: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Yield the items of a task, advancing by one after each."""
    progress.start(task, total)
    for item in items:
        yield item
        progress.advance()
    progress.done()
