"""Functions that worker processes of tests import by name."""

from __future__ import annotations

import ctypes
import os
import signal
import time

from dpedkit.errors import ImageError


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


def opencv_threads(item: int) -> int:
    import cv2

    return int(cv2.getNumThreads())
