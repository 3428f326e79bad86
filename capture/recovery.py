"""What a killed session left in its folder: half photos to throw away, whole ones that nobody has recorded yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dpedkit.capture.camera import CameraFile, ClockOffset
from dpedkit.capture.incoming import look_at
from dpedkit.capture.orders import RAW
from dpedkit.capture.shot import Role, ShotPlan, StampLag, StoredPhoto, shutter_time

_NAME = re.compile(r"(\d{4,})_([a-z0-9_-]+)(\.[a-z0-9]+)")


@dataclass(frozen=True, slots=True)
class Found:
    """A photo in a session's folder, as its name tells."""

    path: Path
    number: int
    device: str


def throw_away_halves(folder: Path) -> int:
    """Remove what a killed process had not pulled whole; return how many files that were. Nobody else may use it."""
    halves = [path for path in folder.glob(".*.part") if path.is_file()]
    for path in halves:
        path.unlink()
    return len(halves)


def stored_photos(folder: Path) -> Iterator[Found]:
    """Yield the whole photos in a session's folder."""
    for path in sorted(folder.glob("*")):
        match = _NAME.fullmatch(path.name)
        if match:
            yield Found(path, int(match[1]), match[2])


def adopt(found: Found, role: Role, plan: ShotPlan, clock: ClockOffset | None, stamp: StampLag) -> StoredPhoto:
    """Return a photo that was stored and not recorded. Where it lay on the device is forgotten ("")."""
    looked = look_at(found.path, is_raw=found.path.suffix in RAW)
    taken_at = looked.meta.taken_at if looked.meta else None
    shutter = None
    if looked.meta and taken_at and clock:
        shutter = shutter_time(taken_at, looked.meta.taken_step, clock, plan.at_ns, stamp)
    on_device = CameraFile("", found.path.stat().st_size)
    return StoredPhoto(
        device=found.device,
        role=role,
        number=found.number,
        path=found.path,
        on_device=on_device,
        sha256=looked.sha256,
        release=None,
        meta=looked.meta,
        colour=looked.colour,
        shutter=shutter,
        damage=looked.damage,
    )
