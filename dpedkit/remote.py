"""What a worker of a Dask cluster runs: one item's work, after a look at whether it is fit to do it."""

from __future__ import annotations

import functools
import platform
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import cv2
from distributed import Worker, get_worker
from threadpoolctl import threadpool_limits

from dpedkit.errors import ClusterError
from dpedkit.executor import one_thread_each, perform

Item = TypeVar("Item")
Value = TypeVar("Value")

_DECIDING = ("dpedkit", "numpy", "scipy", "opencv-python-headless", "pillow")  # packages that results depend on
_SOURCES = ("dpedkit", "dpedkit.align", "dpedkit.capture", "dpedkit.db", "dpedkit.train")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a worker must be like to give what the machine of the command would give.

    versions  `own_versions` of that machine
    folder    that both see; None: none
    token     name of a file that was put there to be looked for; "": the folder is enough
    """

    versions: Mapping[str, str]
    folder: Path | None = None
    token: str = ""


def work(function: Callable[[Item], Value], item: Item, expected: Expected) -> Value:
    """Do one item's work, on one thread.

    Raises:
        ClusterError: this worker is not as expected: it came later than those that were looked at.
        OutOfMemory: the item takes more memory than there is.
    """
    if wrong := complaint(expected, get_worker()):
        raise ClusterError(wrong, remedy(expected))
    one_thread_each()
    cv2.setNumThreads(1)  # what is imported already; and for good, since other tasks may run beside this one
    threadpool_limits(limits=1)
    return perform(function, item)


def complaint(expected: Expected, dask_worker: Worker) -> str:
    """Return what is wrong with this worker, in one line that names it; "" if nothing is.

    dask_worker  the worker itself: `Client.run` gives it to what has an argument of this name
    """
    name = f"worker {dask_worker.address} on {socket.gethostname()}"
    own = own_versions()
    for what, wanted in expected.versions.items():
        if own.get(what, "") != wanted:
            return f"{name} has {what} {own.get(what) or 'missing'}, this command has {wanted}"
    if expected.folder is not None and not (expected.folder / expected.token).exists():
        return f"{name} does not see the folder {expected.folder} as this machine does"
    return ""


def remedy(expected: Expected) -> str:
    """Return what to do about any complaint."""
    shared = f", and share {expected.folder} under the same path" if expected.folder else ""
    return f"give every worker the same Python, dpedkit and packages (constraints.txt){shared}"


@functools.cache
def own_versions() -> dict[str, str]:
    """Return all that two machines must have in common to give the same bits."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for package in _DECIDING:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found | {"dpedkit's code": _code_sha256()[:12]}


def _code_sha256() -> str:
    """Return a hash of dpedkit's own modules: between releases, one version is many states of the code."""
    files = {}
    for package in _SOURCES:
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            for path in Path(place).rglob("*.py"):
                files[f"{package.replace('.', '/')}/{path.relative_to(place).as_posix()}"] = path
    digest = sha256()
    for name in sorted(files):
        digest.update(f"{name}\n".encode() + files[name].read_bytes())
    return digest.hexdigest()
