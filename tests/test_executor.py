"""Work in processes, here or on a cluster: order kept, errors beside values, a dead worker costs one item."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dask
import pytest
from distributed import LocalCluster
from worker_functions import (
    crash_on_five,
    data_limit,
    hang_on_one,
    killed_on_two,
    square,
    stumble,
    take_on_two,
    threads,
)

from dpedkit import memory
from dpedkit.errors import ImageError, OutOfMemory, WorkerDied
from dpedkit.executor import Workers, run_parallel


@pytest.fixture(scope="module")
def local_cluster() -> Iterator[str]:
    """The address of a cluster of two processes that a nanny starts again when they die."""
    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.nanny.pre-spawn-environ": {}}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(params=["here", "cluster"])
def workers(request: pytest.FixtureRequest) -> Workers:
    if request.param == "here":
        return Workers(2)
    return Workers(cluster=request.getfixturevalue("local_cluster"))


def test_values_and_errors_come_in_order(workers: Workers) -> None:
    outcomes = list(run_parallel(square, range(20), workers=workers))
    assert [o.item for o in outcomes] == list(range(20))
    assert [o.value for o in outcomes] == [None if i == 3 else i * i for i in range(20)]
    assert isinstance(outcomes[3].error, ImageError)
    assert outcomes[3].error.remedy == "leave it out"


@pytest.mark.parametrize(("function", "victim"), [(crash_on_five, 5), (killed_on_two, 2)])
def test_a_dead_worker_costs_its_item_and_no_other(
    workers: Workers, function: Callable[[int], int], victim: int
) -> None:
    outcomes = list(run_parallel(function, range(12), workers=workers))
    assert [o.item for o in outcomes] == list(range(12))
    assert [o.item for o in outcomes if o.error] == [victim]
    assert isinstance(outcomes[victim].error, WorkerDied)
    assert str(victim) in outcomes[victim].error.cause
    assert [o.value for o in outcomes if not o.error] == [i for i in range(12) if i != victim]


def test_an_item_that_hangs_is_given_up(workers: Workers) -> None:
    outcomes = list(run_parallel(hang_on_one, range(4), workers=workers, timeout_s=3))
    assert [o.item for o in outcomes if isinstance(o.error, WorkerDied)] == [1]


def test_a_bug_stops_the_run(workers: Workers) -> None:
    with pytest.raises(KeyError):
        list(run_parallel(stumble, range(3), workers=workers))


def test_a_consumer_that_stops_leaves_no_work_behind(workers: Workers) -> None:
    items = iter(range(10_000))
    outcomes = run_parallel(square, items, workers=workers)
    next(outcomes)
    assert next(items) <= 5  # two for each worker are in flight, and one was done
    outcomes.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(outcomes)


def test_workers_keep_to_one_thread(workers: Workers) -> None:
    assert [o.value for o in run_parallel(threads, [0], workers=workers)] == [{1}]


@pytest.mark.skipif(memory.available_bytes() is None, reason="this system does not say how much memory is free")
def test_workers_share_what_memory_is_free_and_an_item_that_needs_more_fails_alone() -> None:
    free = memory.available_bytes()
    assert free
    limits = [o.value for o in run_parallel(data_limit, range(4), workers=Workers(3))]
    assert len(set(limits)) == 1
    assert limits[0]
    assert 0.5 * free < 3 * limits[0] < 1.5 * free  # others on this machine take and give meanwhile
    outcomes = list(run_parallel(take_on_two, range(4), workers=Workers(3)))
    assert [o.value for o in outcomes] == [0, 1, None, 3]
    assert isinstance(outcomes[2].error, OutOfMemory)
    assert outcomes[2].error.cause.startswith("2: needs more memory than the ")
    assert "--jobs 1" in outcomes[2].error.remedy
