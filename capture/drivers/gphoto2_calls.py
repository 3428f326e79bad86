"""Calls of libgphoto2 that python-gphoto2 does not make, or makes without letting other threads run.

While a camera that has frozen is hung up on, or a slow one counts its free space or deletes, every other camera's
thread would stand still. ctypes makes the same calls in the same library and lets them run.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gphoto2 as gp
from gphoto2 import _camera

_library = ctypes.CDLL(_camera.__file__)  # finds the names of the library it is linked with
_c = ctypes.CDLL(None)
_c.free.argtypes = [ctypes.c_void_p]


class _Storage(ctypes.Structure):
    """CameraStorageInformation of gphoto2-filesys.h."""

    _fields_ = (
        ("fields", ctypes.c_int),
        ("basedir", ctypes.c_char * 256),
        ("label", ctypes.c_char * 256),
        ("description", ctypes.c_char * 256),
        ("type", ctypes.c_int),
        ("fstype", ctypes.c_int),
        ("access", ctypes.c_int),
        ("capacitykbytes", ctypes.c_uint64),
        ("freekbytes", ctypes.c_uint64),
        ("freeimages", ctypes.c_uint64),
    )


def library_copies() -> list[ctypes.CDLL]:
    """Return each copy of libgphoto2 in this process.

    python-gphoto2's wheels hold two: its own calls run in one, camera drivers in the other, and each has settings and
    listeners of its own.
    """
    copies: dict[int | None, ctypes.CDLL] = {}
    for path in (_camera.__file__, Path(os.environ.get("CAMLIBS", "")) / "ptp2.so"):
        with suppress(OSError):
            library = ctypes.CDLL(str(path))
            copies.setdefault(ctypes.cast(library.gp_log_add_func, ctypes.c_void_p).value, library)
    return list(copies.values())


def keep_photos_on_card() -> None:
    """Have Canons write to their cards from the first moment on.

    Else libgphoto2 points them to the computer's memory when it opens them, where a photo taken by hand is lost; and it
    waits for ever where the camera then says that there is no room (its camera_canon_eos_update_capture_target; that
    the memory is full has been seen, gphoto2's issue 176). To be called under the library's lock.
    """
    for library in library_copies():
        library.gp_setting_set(b"ptp2", b"capturetarget", b"card")


def exit_camera(camera: Any) -> int:
    """End a conversation; return a GP_ result."""
    with _descriptor_0_kept():
        result: int = _library.gp_camera_exit(_pointer(camera), None)
    return result


def delete_file(camera: Any, folder: str, name: str) -> None:
    """Remove a file from a camera.

    Raises:
        GPhoto2Error: it does not answer, or does not want to.
    """
    gp.check_result(_library.gp_camera_file_delete(_pointer(camera), folder.encode(), name.encode(), None))


def free_bytes(camera: Any) -> int | None:
    """Return the room on a camera's cards, None where it does not tell.

    Raises:
        GPhoto2Error: it does not answer.
    """
    stores = ctypes.POINTER(_Storage)()
    count = ctypes.c_int()
    gp.check_result(
        _library.gp_camera_get_storageinfo(_pointer(camera), ctypes.byref(stores), ctypes.byref(count), None)
    )
    told = [store.freekbytes for store in stores[: count.value] if store.fields & gp.GP_STORAGEINFO_FREESPACEKBYTES]
    _c.free(stores)
    return sum(told) * 1024 if told else None


@contextmanager
def _descriptor_0_kept() -> Iterator[None]:
    """Put descriptor 0 back: libgphoto2 closes it with every PTP/IP camera (its pull request 1287).

    It is standard input, or else whatever file or socket got its number; the next camera would close that one.
    """
    try:
        kept = os.dup(0)
    except OSError:  # standard input is closed and nothing has taken its place
        yield
        return
    try:
        yield
    finally:
        again = fcntl.fcntl(kept, fcntl.F_DUPFD, 0)  # the lowest free number: 0, unless another thread was faster
        os.close(kept)
        if again != 0:
            os.close(again)


def _pointer(camera: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(int(camera.this))
