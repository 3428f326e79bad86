"""How much memory is free for work, and a limit for a process that does it; off Linux, neither is known."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from dpedkit.errors import OutOfMemory

_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_LIKELY_BYTES = 500_000_000
_CGROUPS = Path("/sys/fs/cgroup")
_CV_NO_MEMORY = -4  # cv::Error::StsNoMem


def available_bytes() -> int | None:
    """Return how much memory this process and its children may still take; None where the system does not say.

    The least of what the machine has available (proc(5), MemAvailable) and what is left in each control group that
    this process lies in (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst in the Linux kernel).
    """
    if not _MEMINFO.exists():
        return None
    return min((_field(_MEMINFO, "MemAvailable:") * 1024, *_left_in_groups()))


def resident_bytes() -> int:
    """Return how much memory this process holds now; off Linux, what one with PyTorch and a photo is likely to."""
    if not _STATM.exists():
        return _LIKELY_BYTES
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def limit_this_process(limit_bytes: int) -> None:
    """Let this process allocate at most `limit_bytes`: more is a MemoryError here instead of a kill by the kernel.

    It counts what is allocated, used or not; libraries and files that are mapped count not (getrlimit(2), RLIMIT_DATA).
    """
    if sys.platform != "linux":  # other systems have the limit and do not apply it to what malloc maps
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


def own_limit_bytes() -> int | None:
    """Return this process's limit; None if it has none."""
    if sys.platform != "linux":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return None if soft == resource.RLIM_INFINITY else soft


def out_of_memory(what: object) -> OutOfMemory:
    """Return the error of something for which this process's memory does not suffice."""
    limit = own_limit_bytes()
    most = "there is" if limit is None else f"the {limit / 1e6:.0f} MB that its worker may take"
    remedy = "give each worker more: fewer of them (--jobs 1), or a machine that has more"
    return OutOfMemory(f"{what}: needs more memory than {most}", remedy)


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an exception says that an allocation failed: Python's and numpy's, Pillow's, OpenCV's."""
    if isinstance(error, MemoryError):
        return True
    from_opencv = type(error).__module__.startswith("cv2") and getattr(error, "code", 0) == _CV_NO_MEMORY
    words = str(error)
    return from_opencv or "std::bad_alloc" in words or "out of memory error when reading image file" in words


def _left_in_groups() -> Iterator[int]:
    """Yield what is left in each control group above this process that has a limit."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _left_above(_CGROUPS, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left_above(_CGROUPS / "memory", path, *names)


def _left_above(root: Path, path: str, limit_name: str, usage_name: str, reclaimable: str) -> Iterator[int]:
    """Yield what is left in a group and in those above it; a container may not see all of them."""
    group = root / path.lstrip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            return
        limit, usage = folder / limit_name, folder / usage_name
        if limit.exists() and usage.exists() and (word := limit.read_text().strip()) != "max":
            yield int(word) - int(usage.read_text()) + _field(folder / "memory.stat", reclaimable)


def _field(path: Path, name: str) -> int:
    """Return the number beside a name in one of the kernel's files; 0 if it is not there."""
    for line in path.read_text().splitlines():
        key, value, *_ = line.split()
        if key == name:
            return int(value)
    return 0
