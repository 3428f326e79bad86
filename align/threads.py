"""One thread for linear algebra: a BLAS that shares a sum among threads rounds it by how many they are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def on_one_blas_thread(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a function give the same bits whatever OMP_NUM_THREADS says; matrices as small as ours gain nothing by it."""

    @functools.wraps(function)
    def calm(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _libraries().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return calm


@functools.cache
def _libraries() -> ThreadpoolController:
    """Look for them once, when numpy's and scipy's have been loaded."""
    return ThreadpoolController()
