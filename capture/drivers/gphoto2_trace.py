"""What libgphoto2 and its cameras say to each other, out of libgphoto2's own log.

The log is one for the whole process; a camera speaks on the thread that called it last.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import gphoto2 as gp

from dpedkit.capture.drivers.gphoto2_calls import library_copies
from dpedkit.capture.trace import Trace, Way

_HEAD = re.compile(rb"\(hexdump of (first \d+ of )?(\d+) bytes\)\n")
_ROW = re.compile(rb"^[0-9a-f]{4,} +((?:[0-9a-f]{2}[ -])+)", re.MULTILINE)
_SENDERS = ("sendreq", "senddata", "request", "gp_port_write")
_RECEIVERS = ("read", "gp_port_read")
_Callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

_speaking: dict[int, tuple[Trace, str]] = {}
"""Thread -> whose conversation it carries on."""
_lock = threading.Lock()
_listeners: list[object] = []  # libgphoto2 calls them as long as the process lives


@contextmanager
def traced(trace: Trace | None, device: str) -> Iterator[None]:
    """Record what libgphoto2 says on this thread meanwhile as the device's; nothing where there is no trace."""
    thread = threading.get_ident()
    if trace is None or thread in _speaking:
        yield
        return
    _listen()
    _speaking[thread] = (trace, device)
    try:
        yield
    finally:
        del _speaking[thread]


def _listen() -> None:
    with _lock:
        if _listeners:
            return
        callback = _Callback(_hear)
        _listeners.append(callback)
        for library in library_copies():
            library.gp_log_add_func(gp.GP_LOG_DATA, callback, None)


def _hear(level: int, domain: bytes, text: bytes, _data: object) -> None:
    listener = _speaking.get(threading.get_ident())
    head = _HEAD.search(text)
    if listener is None or level != gp.GP_LOG_DATA or head is None:
        return
    way = _way(domain.decode(errors="replace"))
    if way is None:
        return
    trace, device = listener
    if head[1]:  # libgphoto2 does not print more than 1 MiB
        trace.add(device, "ptp", way, b"", {"size_bytes": int(head[2])})
    else:
        rows = b"".join(_ROW.findall(text, head.end()))
        trace.add(device, "ptp", way, bytes.fromhex(rows.replace(b"-", b" ").decode()))


def _way(function: str) -> Way | None:
    if function.endswith(_SENDERS):
        return "sent"
    return "received" if function.endswith(_RECEIVERS) else None
