"""One pure function over many items, in worker processes that may die without taking the run along.

The workers are processes of this machine, or those of a Dask cluster (dpedkit.cluster).
"""

from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from multiprocessing.synchronize import RLock
from pathlib import Path
from typing import Generic, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from dpedkit import memory
from dpedkit.errors import DpedError, UsageError, WorkerDied

Item = TypeVar("Item")
Value = TypeVar("Value")

NEED_BYTES = 800_000_000
"""What one worker should have: a 20 MP photo and a 13 MP one, the libraries included (docs/alignment.md)."""

_LEAST_BYTES = 300_000_000  # what one takes to start and import its libraries, 0.2 GB, and a little
_KEPT_FREE = 0.1  # of the memory: for the command itself and for what else grows meanwhile


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does the work.

    jobs        worker processes of this machine; 0: one per processor, or fewer where there is little memory
    cluster     "tcp://HOST:PORT" of a Dask scheduler: its workers do the work instead; "" is this machine
    patience_s  how long to wait for a cluster's workers to come, at the start or when all are lost
    """

    jobs: int = 0
    cluster: str = ""
    patience_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: a value, or the error that explains why there is none."""

    item: Item
    value: Value | None
    error: DpedError | None


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_parallel(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    *,
    workers: Workers,
    timeout_s: float = 600.0,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Outcome[Item, Value]]:
    """Yield an Outcome for each item, in order; at most a few items per worker are in flight.

    function   importable, pure; it may raise DpedError for its item
    workers    who does it
    timeout_s  a worker that needs longer for one item is ended, and the item reported
    folder     what the workers must see as this process does: the items name files there
    say        gets a line when there is less help than one would think

    A worker that dies (a native decoder crashed, the kernel killed it) is replaced; its item's error is WorkerDied.
    An item that needs more memory than its worker may take ends as OutOfMemory. Other exceptions are bugs and stop
    the run.

    Raises:
        ClusterError: the cluster does not answer or cannot do this work.
        UsageError: its address is none, or so many workers do not fit into the memory.
    """
    if workers.cluster:
        from dpedkit.cluster import run_on_cluster

        return run_on_cluster(function, items, workers=workers, timeout_s=timeout_s, folder=folder, say=say)
    return _run_here(function, items, workers.jobs, timeout_s, say)


class _Spawning(SpawnContext):
    """Starts workers afresh: a fork would copy locks that other threads hold.

    It keeps the pool's locks as long as it lives itself. Pebble lets go of them before its workers are gone; one that
    is just starting then, in the place of one that died, would print a traceback on its way out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._locks: list[RLock] = []

    def RLock(self) -> RLock:  # noqa: N802  (as it is called)
        lock = super().RLock()
        self._locks.append(lock)
        return lock


def perform(function: Callable[[Item], Value], item: Item) -> Value:
    """Do one item's work, in a worker.

    Raises:
        OutOfMemory: it takes more memory than this process may have.
    """
    try:
        return function(item)
    except Exception as error:
        _forget_locals(error)
        if not memory.is_lack_of_memory(error):
            raise
    raise memory.out_of_memory(item)


def _forget_locals(error: BaseException | None) -> None:
    """Let go of what the frames of an error hold, a photo's pixels: a worker keeps it while it does the next item."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _run_here(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    wanted: int,
    timeout_s: float,
    say: Callable[[str], None],
) -> Iterator[Outcome[Item, Value]]:
    jobs, limit_bytes = _shares(wanted, say)
    context = _Spawning()
    pool = ProcessPool(max_workers=jobs, context=context, initializer=begin_worker, initargs=[limit_bytes])
    waiting: deque[tuple[Item, Future[Value]]] = deque()
    finished = False
    try:
        for item in items:
            waiting.append((item, pool.schedule(perform, args=[function, item], timeout=timeout_s)))
            if len(waiting) > 2 * jobs:
                yield _outcome(*waiting.popleft(), timeout_s)
        while waiting:
            yield _outcome(*waiting.popleft(), timeout_s)
        finished = True
    finally:
        if finished:
            pool.close()  # type: ignore[no-untyped-call]
        else:
            pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _shares(wanted: int, say: Callable[[str], None]) -> tuple[int, int | None]:
    """Return how many workers there will be, and how much memory each may take: together no more than is free."""
    free = memory.available_bytes()
    most = wanted or processors()
    if free is None:
        return most, None
    free = int(free * (1 - _KEPT_FREE))
    jobs = wanted or min(most, max(1, free // NEED_BYTES))
    if jobs < most:
        say(f"{free / 1e9:.1f} GB of memory are free: {jobs} of {most} processors will work (--jobs N to insist)")
    if free // jobs < _LEAST_BYTES:
        raise UsageError(
            f"{jobs} worker processes would have {free // jobs / 1e6:.0f} MB of memory each: too little to start",
            f"use --jobs {free // _LEAST_BYTES}"
            if free >= _LEAST_BYTES
            else "end other programs, or use a larger machine",
        )
    return jobs, free // jobs


def _outcome(item: Item, future: Future[Value], timeout_s: float) -> Outcome[Item, Value]:
    try:
        return Outcome(item, future.result(), None)
    except DpedError as error:
        return Outcome(item, None, error)
    except FutureTimeoutError:
        return Outcome(item, None, given_up(item, timeout_s))
    except ProcessExpired as error:
        return Outcome(item, None, died(item, f"its worker process died (exit code {error.exitcode})"))


class Crew(Generic[Item, Value]):
    """Worker processes for items that come one by one, and may be called off: a context manager.

    function   importable; it may raise DpedError for its item
    jobs       worker processes; they start with the first item
    timeout_s  a worker that needs longer for one item is ended
    begin      called in each new worker, with its words, before it imports anything
    """

    def __init__(
        self,
        function: Callable[[Item], Value],
        *,
        jobs: int,
        timeout_s: float,
        begin: Callable[..., None],
        words: Sequence[object],
    ) -> None:
        self._function, self._timeout_s = function, timeout_s
        self._context = context = _Spawning()
        self._pool = ProcessPool(max_workers=jobs, context=context, initializer=begin, initargs=list(words))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def begin(self, item: Item) -> Future[Value]:
        """Have an item done as soon as a worker is free; a future that is cancelled ends the worker that does it."""
        future: Future[Value] = self._pool.schedule(perform, args=[self._function, item], timeout=self._timeout_s)
        return future

    def outcome(self, item: Item, future: Future[Value]) -> Outcome[Item, Value]:
        """Wait for what becomes of an item.

        Raises:
            CancelledError: it was called off.
        """
        return _outcome(item, future, self._timeout_s)


def given_up(item: object, timeout_s: float) -> WorkerDied:
    """Return the error of an item that took too long."""
    return WorkerDied(f"{item}: not done after {timeout_s:g} s, given up")


def died(item: object, how: str) -> WorkerDied:
    """Return the error of an item that took its worker down."""
    return WorkerDied(f"{item}: {how}", "a native library crashed on it: leave it out, the rest went on")


def one_thread_each() -> None:
    """Keep the libraries that are not imported yet to one thread: the workers are the parallelism."""
    for variable in ("OPENCV_FOR_THREADS_NUM", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"


def begin_worker(limit_bytes: int | None) -> None:
    """Make a worker of a new process, before it imports anything: one thread, and its share of memory."""
    one_thread_each()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command that started them
    if limit_bytes is not None:
        memory.limit_this_process(limit_bytes)
