"""Functions that worker processes of tests import by name."""

from __future__ import annotations

import ctypes
import os
import signal
import time

import numpy as np

from dpedkit.errors import ImageError
from dpedkit.memory import own_limit_bytes


def square(item: int) -> int:
    if item == 3:
        raise ImageError("three: unreadable", "leave it out")
    return item * item


def crash_on_five(item: int) -> int:
    if item == 5:
        ctypes.string_at(0)
    return item


def killed_on_two(item: int) -> int:
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def hang_on_one(item: int) -> int:
    if item == 1:
        time.sleep(600)
    return item


def stumble(item: int) -> int:
    raise KeyError(item)


def threads(item: int) -> set[int]:
    """How many threads OpenCV and each BLAS library use."""
    import cv2
    import scipy.linalg  # its BLAS is not numpy's
    from threadpoolctl import threadpool_info

    assert scipy.linalg.norm([3, 4]) == 5
    return {int(cv2.getNumThreads()), *(int(pool["num_threads"]) for pool in threadpool_info())}


def data_limit(item: int) -> int | None:
    return own_limit_bytes()


def take_on_two(item: int) -> int:
    """Allocate 1 MB more than this process may."""
    if item == 2:
        limit = own_limit_bytes()
        assert limit
        np.empty(limit + 1_000_000, dtype=np.uint8)
    return item
