"""The executor's work on a Dask cluster: the same outcomes, from any number of machines.

The scheduler and its workers are started elsewhere (docs/alignment.md, "Many machines"). What an item gives comes back
to this process, which alone writes the index. When a worker is lost, Dask does its items again on another one.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import re
import secrets
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from distributed import Client, Future, KilledWorker
from distributed.comm.core import CommClosedError
from distributed.versions import VersionMismatchWarning

from dpedkit.errors import ClusterError, DpedError, UsageError
from dpedkit.executor import Outcome, Workers, died, given_up
from dpedkit.files import write_atomic
from dpedkit.remote import Expected, complaint, own_versions, remedy, work

Item = TypeVar("Item")
Value = TypeVar("Value")

_CONNECT_S = 5.0
_LOOK_S = 1.0  # how often the cluster is looked at while one waits for it
_RESTART_S = 5.0  # for a worker to end by itself, before it is killed
_FETCH_S = 60.0  # for what a task gave to come here; if it was lost on the way, it is done again


def run_on_cluster(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    *,
    workers: Workers,
    timeout_s: float,
    folder: Path | None,
    say: Callable[[str], None],
) -> Iterator[Outcome[Item, Value]]:
    """Yield an Outcome for each item, in order; `dpedkit.executor.run_parallel` says what the arguments are.

    Raises:
        UsageError: the address is not one.
        ClusterError: no scheduler answers, no worker comes, a worker differs from this machine or does not see the
            folder, or the scheduler is lost.
    """
    if not re.fullmatch(r"tcp://[^\s/:]+:\d+", workers.cluster):
        raise UsageError(f"{workers.cluster!r} is no scheduler's address", "it looks like tcp://HOST:8786")
    items = iter(items)
    some = list(itertools.islice(items, 1))
    if not some:
        return  # what is finished needs no cluster
    with _connected(workers.cluster) as client:
        crew = _Crew(client, function, Expected(own_versions(), folder), workers, timeout_s, say)
        crew.muster()
        yield from crew.outcomes(itertools.chain(some, items))


class _HeldTooLongError(Exception):
    """A worker does not come to an end with an item."""


@dataclass(frozen=True, slots=True)
class _Crew(Generic[Item, Value]):
    """The workers of one scheduler during one run."""

    client: Client
    function: Callable[[Item], Value]
    expected: Expected
    workers: Workers
    timeout_s: float
    say: Callable[[str], None]

    def muster(self) -> None:
        """Wait for the first worker, then look at all of them."""
        if not self.client.nthreads():
            self.say(f"{self.workers.cluster} has no workers yet: waiting up to {self.workers.patience_s:g} s for one")
        self._result(self.client.submit(os.getpid, pure=False))  # some clusters start workers only when there is work
        with _token(self.expected) as expected:
            found = cast("dict[str, Any]", self.client.run(complaint, expected, on_error="return"))
        for address, wrong in found.items():
            if isinstance(wrong, OSError):
                continue  # it has gone meanwhile
            if isinstance(wrong, Exception):
                raise ClusterError(f"worker {address} has no dpedkit, or another one: {wrong}", remedy(self.expected))
            if wrong:
                raise ClusterError(wrong, remedy(self.expected))

    def outcomes(self, items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield what becomes of each item; two for each thread are in flight."""
        waiting: deque[tuple[Item, Future[Value]]] = deque()
        try:
            for item in items:
                waiting.append((item, self._submit(item)))
                if len(waiting) > 2 * max(
                    1, sum(cast("dict[str, int]", self.client.nthreads()).values())
                ):  # workers come and go
                    yield self._first(waiting)
            while waiting:
                yield self._first(waiting)
        finally:
            with suppress(OSError):  # the scheduler is lost, and with it all that was asked of it
                self.client.cancel([future for _, future in waiting])

    def _submit(self, item: Item) -> Future[Value]:
        """Hand an item to the scheduler."""
        task = functools.partial(work, self.function, item, self.expected)
        return self.client.submit(task, key=f"{self.function.__name__}-{secrets.token_hex(16)}", pure=False)

    def _first(self, waiting: deque[tuple[Item, Future[Value]]]) -> Outcome[Item, Value]:
        """Take the first item in flight and say what became of it."""
        item, future = waiting.popleft()
        try:
            return self._tried(item, future)
        except KilledWorker:
            # All items that a worker held when it died are under suspicion: only by itself can one be judged.
            for _, other in waiting:
                self._done(other)
        try:
            return self._tried(item, self._submit(item))
        except KilledWorker:
            return Outcome(item, None, died(item, "each worker that tried it died"))

    def _tried(self, item: Item, future: Future[Value]) -> Outcome[Item, Value]:
        try:
            return Outcome(item, self._result(future), None)
        except ClusterError:
            raise
        except DpedError as error:
            return Outcome(item, None, error)
        except _HeldTooLongError:
            return Outcome(item, None, given_up(item, self.timeout_s))

    def _result(self, future: Future[Any]) -> Any:
        """Return what a task gave, or raise what it raised."""
        while self._done(future):
            try:
                return future.result(timeout=_FETCH_S)
            except TimeoutError:
                if future.status == "error":  # it is the task's own
                    raise
        held_by = self._holder(future)
        self.client.cancel([future])
        self.client.restart_workers([held_by], timeout=_RESTART_S, raise_for_error=False)
        raise _HeldTooLongError

    def _done(self, future: Future[Any]) -> bool:
        """Wait until a task has ended; return False if one worker has had it for too long."""
        helped_s = held_s = time.monotonic()
        holder = ""
        while True:
            with suppress(TimeoutError):
                future.exception(timeout=_LOOK_S)
                return True
            now_s = time.monotonic()
            if self.client.nthreads():
                helped_s = now_s
            elif now_s - helped_s > self.workers.patience_s:
                raise self._no_workers()
            before, holder = holder, self._holder(future)
            if holder != before:
                held_s = now_s
            elif holder and now_s - held_s > self.timeout_s:
                return False

    def _holder(self, future: Future[Any]) -> str:
        """Return the address of the worker that has a task; "" if none has."""
        held = cast("dict[str, Any]", self.client.processing())
        return next((address for address, keys in held.items() if future.key in keys), "")

    def _no_workers(self) -> ClusterError:
        address = self.workers.cluster
        return ClusterError(
            f"{address} has had no workers for {self.workers.patience_s:g} s",
            f"start some on any machine: `dask worker {address} --nthreads 1`; what was finished is kept",
        )


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Yield a connection to a scheduler; whatever ends it becomes a ClusterError."""
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # each lost worker would be told on stderr
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # versions are compared more closely by `complaint`
            client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except ImportError as error:
        raise ClusterError(
            f"the scheduler at {address} has another Dask than this machine: {error}", "install the same on both"
        ) from error
    except OSError as error:
        host, port = address.removeprefix("tcp://").split(":")
        raise ClusterError(
            f"no Dask scheduler answers at {address}",
            f"on {host}: `dask scheduler --port {port}`; on any machine: `dask worker {address} --nthreads 1`",
        ) from error
    try:
        with client:
            yield client
    except (OSError, CancelledError) as error:
        if isinstance(error, OSError) and not isinstance(error, CommClosedError) and client.status == "running":
            raise
        raise ClusterError(
            f"the Dask scheduler at {address} is gone", "start it again and run the same command: it goes on from there"
        ) from error


@contextmanager
def _token(expected: Expected) -> Iterator[Expected]:
    """Put a file into the shared folder, to be looked for from elsewhere, and take it away again."""
    if expected.folder is None:
        yield expected
        return
    path = expected.folder / f".shared-{secrets.token_hex(8)}"
    write_atomic(path, b"")
    try:
        yield replace(expected, token=path.name)
    finally:
        path.unlink()
