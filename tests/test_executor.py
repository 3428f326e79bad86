"""Work in processes: order kept, errors beside values, a dead worker costs one item."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from worker_functions import crash_on_five, hang_on_one, killed_on_two, opencv_threads, square, stumble

from dpedkit.errors import ImageError, WorkerDied
from dpedkit.executor import Workers, run_parallel


def test_values_and_errors_come_in_order() -> None:
    outcomes = list(run_parallel(square, range(20), workers=Workers(2)))
    assert [o.item for o in outcomes] == list(range(20))
    assert [o.value for o in outcomes] == [None if i == 3 else i * i for i in range(20)]
    assert isinstance(outcomes[3].error, ImageError)
    assert outcomes[3].error.remedy == "leave it out"


@pytest.mark.parametrize(("function", "victim"), [(crash_on_five, 5), (killed_on_two, 2)])
def test_a_dead_worker_costs_its_item_and_no_other(function: Callable[[int], int], victim: int) -> None:
    outcomes = list(run_parallel(function, range(12), workers=Workers(2)))
    assert [o.item for o in outcomes if o.error] == [victim]
    assert isinstance(outcomes[victim].error, WorkerDied)
    assert str(victim) in outcomes[victim].error.cause
    assert [o.value for o in outcomes if not o.error] == [i for i in range(12) if i != victim]


def test_an_item_that_hangs_is_given_up() -> None:
    outcomes = list(run_parallel(hang_on_one, range(4), workers=Workers(2), timeout_s=3))
    assert [o.item for o in outcomes if isinstance(o.error, WorkerDied)] == [1]


def test_a_bug_stops_the_run() -> None:
    with pytest.raises(KeyError):
        list(run_parallel(stumble, range(3), workers=Workers(1)))


def test_a_consumer_that_stops_leaves_no_worker_behind() -> None:
    outcomes = run_parallel(square, range(10_000), workers=Workers(2))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(outcomes)


def test_workers_keep_to_one_thread() -> None:
    assert [o.value for o in run_parallel(opencv_threads, [0], workers=Workers(1))] == [1]
