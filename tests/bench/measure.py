"""How the benches measure, and what they hand over: figures beside a baseline's, of the same run."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from unittest import mock

import cv2

T = TypeVar("T")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity.

    ours      every repeat's value; the page shows their median and range
    baseline  the same for the baseline; empty where there is none
    better    which direction is good; without it the figure only informs
    target    on our median, "<= 0.1" or ">= 0.99"; or on how many times better we are, ">= 60x"; empty where no issue
              names one
    """

    name: str
    ours: Sequence[float]
    unit: str = ""
    baseline: Sequence[float] = field(default_factory=list)
    better: Literal["less", "more"] = "less"
    target: str = ""

    @property
    def times_better(self) -> float | None:
        """The baseline's median over ours, or the inverse where more is better."""
        if not self.baseline:
            return None
        ours, baseline = statistics.median(self.ours), statistics.median(self.baseline)
        return baseline / ours if self.better == "less" else ours / baseline

    @property
    def met(self) -> bool | None:
        """Whether the target is; None without one."""
        if not self.target:
            return None
        relation, limit = self.target.split()
        value = self.times_better if limit.endswith("x") else statistics.median(self.ours)
        if value is None:
            return False
        return value <= float(limit) if relation == "<=" else value >= float(limit.rstrip("x"))


Table = Sequence[Sequence[str]]
"""Cells by row, the head first."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one bench saw.

    notes   what a reader must know of this very run: what was left out, and why
    tables  what is not one number a row
    """

    figures: Sequence[Figure]
    notes: Sequence[str] = field(default_factory=list)
    tables: Sequence[Table] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Timed:
    """What a call returned, and its cost.

    cpu_s    of every thread of the process
    peak_mb  the most memory that the process ever held, interpreter and arguments included
    """

    value: Any
    wall_s: float
    cpu_s: float
    peak_mb: float


def timed(function: Callable[..., Any], *arguments: Any) -> Timed:
    """Call once and measure."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    value = function(*arguments)
    return Timed(value, time.perf_counter() - wall_s, time.process_time() - cpu_s, peak_mb())


def alone(function: Callable[..., T], *arguments: Any, threads: int = 1) -> T:
    """Call in a fresh process, whose memory and threads are its own, and return what that returns."""
    with processes(1, threads) as pool:
        return pool.submit(function, *arguments).result()


@contextmanager
def processes(count: int, threads: int = 1) -> Iterator[ProcessPoolExecutor]:
    """Give fresh processes of so many threads each, which theirs inherit."""
    limits = dict.fromkeys(_THREADS, str(threads))
    fresh = multiprocessing.get_context("spawn")
    with (
        mock.patch.dict(os.environ, limits),
        ProcessPoolExecutor(count, mp_context=fresh, initializer=cv2.setNumThreads, initargs=(threads,)) as pool,
    ):
        yield pool


def peak_mb() -> float:
    """Return the most memory that this process ever held."""
    if _STATUS.exists():  # Linux: ru_maxrss would begin with what the parent held at the fork
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def costs(name: str, ours: Sequence[Timed], baseline: Sequence[Timed], target: str = "") -> list[Figure]:
    """Return the figures of two series of calls that did the same work; the target is on the CPU seconds."""
    both = (ours, baseline)
    wall, cpu, peak = ([[getattr(call, cost) for call in calls] for calls in both] for cost in Timed.__slots__[1:])
    return [
        Figure(f"{name}: CPU time", cpu[0], "s", cpu[1], target=target),
        Figure(f"{name}: wall time", wall[0], "s", wall[1]),
        Figure(f"{name}: peak memory", peak[0], "MB", peak[1]),
    ]
