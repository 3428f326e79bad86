"""One pure function over many items, in worker processes that may die without taking the run along."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from dpedkit.errors import DpedError, WorkerDied

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does the work.

    jobs  worker processes; 0: one per processor
    """

    jobs: int = 0


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
    function: Callable[[Item], Value], items: Iterable[Item], *, workers: Workers, timeout_s: float = 600.0
) -> Iterator[Outcome[Item, Value]]:
    """Yield an Outcome for each item, in order; at most a few items per worker are in flight.

    function   importable, pure; it may raise DpedError for its item
    workers    who does it
    timeout_s  a worker that needs longer for one item is ended, and the item reported

    A worker that dies (a native decoder crashed, the kernel killed it) is replaced; its item's error is WorkerDied.
    Other exceptions are bugs and stop the run.
    """
    jobs = workers.jobs or processors()
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
    pool = ProcessPool(max_workers=jobs, context=context, initializer=_calm_threads)
    waiting: deque[tuple[Item, Future[Value]]] = deque()
    finished = False
    try:
        for item in items:
            waiting.append((item, pool.schedule(function, args=[item], timeout=timeout_s)))
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


def _outcome(item: Item, future: Future[Value], timeout_s: float) -> Outcome[Item, Value]:
    try:
        return Outcome(item, future.result(), None)
    except DpedError as error:
        return Outcome(item, None, error)
    except FutureTimeoutError:
        return Outcome(item, None, WorkerDied(f"{item}: not done after {timeout_s:g} s, given up"))
    except ProcessExpired as error:
        cause = f"{item}: its worker process died (exit code {error.exitcode})"
        return Outcome(item, None, WorkerDied(cause, "a native library crashed on it: leave it out, the rest went on"))


def _calm_threads() -> None:
    """Keep each worker to one thread: the workers are the parallelism, and results do not depend on their number."""
    for variable in ("OPENCV_FOR_THREADS_NUM", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"  # read when the library is first imported, which is after this
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command that started them
