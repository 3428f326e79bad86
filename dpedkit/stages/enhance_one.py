"""One photo of many that are enhanced: what this process does with it, or a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dpedkit.images import LIMIT_PX, read_photo
from dpedkit.photo_writing import write_photo
from dpedkit.train import enhance, load_generator
from dpedkit.train.device import use_threads
from dpedkit.train.networks import Enhancer


@dataclass(frozen=True, slots=True)
class Work:
    """How all photos are enhanced.

    device, backend, half, memory_bytes, scratch    as in `dpedkit.train.enhance`
    stamp       what must stand beside the results
    with_place  whether they may tell where a photo was taken
    threads     that a worker computes with; 0: as this process does
    """

    model: Path
    device: str
    backend: str
    half: bool
    memory_bytes: int
    scratch: Path
    stamp: str
    with_place: bool
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """A photo, and where its result belongs."""

    source: Path
    target: Path
    work: Work

    def __str__(self) -> str:
        return str(self.source)


def enhance_item(item: Item, tell: Callable[[float], None] = lambda _: None) -> None:
    """Read, enhance and write a photo.

    Raises:
        ImageError: it is no photo that can be read.
        StorageError: the disk is full.
    """
    work = item.work
    if work.threads:
        use_threads(work.threads)
    photo = read_photo(item.source, limit_px=LIMIT_PX)
    enhanced = enhance(
        generator(work.model),
        photo.rgb,
        device=work.device,
        backend=work.backend,
        half=work.half,
        memory_bytes=work.memory_bytes,
        scratch=work.scratch,
        tell=tell,
    )
    write_photo(item.target, enhanced, photo, work.stamp, with_place=work.with_place)


@lru_cache(maxsize=1)
def generator(model: Path) -> Enhancer:
    """Return the model, which is read once."""
    return load_generator(model)
