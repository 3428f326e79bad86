"""A workspace with patches whose every pixel is known, and photos that tell more than their owner would."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from small_photos import photo, raw

from dpedkit.db import (
    AlignmentRecord,
    DeviceRecord,
    PatchRecord,
    PhotoRecord,
    SessionRecord,
    ShotRecord,
    SplitName,
    open_corpus,
    write_shard,
)
from dpedkit.executor import Workers
from dpedkit.progress import Silent
from dpedkit.stages.exporting import ExportReport, Wanted, export
from dpedkit.types import U8
from dpedkit.workspace import create_workspace, find_workspace

SESSION, SCENE, SERIAL, OWNER = "20260501-grandmas-garden", "behind the shed", "SN-0815-4711", "G. Mother"
MODEL = "Canon EOS 70D"
SPLITS: tuple[SplitName, ...] = ("train", "train", "train", "val", "test")


@dataclass(frozen=True)
class SmallCorpus:
    """The workspace, and of every patch that is in use its phone and split and its pixels, phone and DSLR."""

    root: Path
    pixels: dict[str, tuple[U8, U8]]
    home: dict[str, tuple[str, SplitName]]

    def list(self, phone: str, split: SplitName) -> list[tuple[U8, U8]]:
        """The pairs of one list, in the order that a snapshot has them in."""
        return [self.pixels[key] for key in sorted(self.pixels) if self.home[key] == (phone, split)]


def make_corpus(
    root: Path, phones: tuple[str, ...] = ("iphone", "sony"), each: int = 8, size: int = 100
) -> SmallCorpus:
    """Five shots; of each of a phone's pairs `each` patches are in use and one is not."""
    made = SmallCorpus(root, {}, {})
    workspace = create_workspace(root, {})
    with open_corpus(root) as corpus:
        devices = [DeviceRecord("dslr", "dslr", serial=SERIAL)]
        devices += [DeviceRecord(name, "phone", f"{name} model", f"{SERIAL}-{name}") for name in phones]
        corpus.store.add_session(SessionRecord(SESSION, "tripod", 1), devices)
        for number, split in enumerate(SPLITS, start=1):
            key = f"{SESSION}/{number:04d}"
            photos = {device.name: _photo(workspace.photos, number, device.name) for device in devices}
            corpus.store.add_shot(ShotRecord(key, SESSION, number, scene=SCENE), list(photos.values()))
            corpus.store.keep_splits({key: split})
            for phone in phones:
                alignment = hashlib.sha256(f"{key} {phone}".encode()).hexdigest()
                hashes = photos[phone].sha256, photos["dslr"].sha256
                corpus.store.add_alignment(
                    AlignmentRecord(alignment, *hashes, "1", "aligned", residual_px=0.1, inliers=90)
                )
                pixels = _pixels(int(alignment[:8], 16), each + 1, size)
                keys = [hashlib.sha256(f"{alignment} {row}".encode()).hexdigest() for row in range(each + 1)]
                shard = write_shard(workspace.patches, pixels[:, 0], pixels[:, 1])
                rows = [
                    PatchRecord(
                        name,
                        row,
                        x=size * row,
                        y=0,
                        size=size,
                        ncc=0.9 + row / 1e4,
                        crlb_px=inf if row == 1 else 0.01,
                        keep=row < each,
                    )
                    for row, name in enumerate(keys)
                ]
                corpus.store.replace_patches(alignment, "cut 1", shard, rows, gates="default@2#1234")
                made.pixels.update({name: (pixels[row, 0], pixels[row, 1]) for row, name in enumerate(keys[:each])})
                made.home.update(dict.fromkeys(keys[:each], (phone, split)))
    return made


def hand_on(root: Path, target: Path, layout: str, *, dry_run: bool = False, **wanted: Any) -> ExportReport:
    """`dpedkit export` in this process."""
    asked = Wanted(layout=layout, **wanted)
    workspace = find_workspace(root)
    return export(workspace, target, asked, dry_run=dry_run, workers=Workers(1), progress=Silent())


def _photo(folder: Path, number: int, device: str) -> PhotoRecord:
    """A JPEG, but one of the DSLR's is RAW alone."""
    is_raw = (device, number) == ("dslr", 4)
    path = folder / SESSION / f"{number:04d}_{device}.{'dng' if is_raw else 'jpg'}"
    path.parent.mkdir(exist_ok=True)
    seed = hash_of(f"{number} {device}")
    data = raw(seed) if is_raw else photo(seed, 10.0 * number, place=(-33.5, 18.25), model=MODEL) + OWNER.encode()
    path.write_bytes(data)
    relative = path.relative_to(folder.parent).as_posix()
    return PhotoRecord(device, relative, hashlib.sha256(data).hexdigest(), len(data), 64, 48, latitude=-33.5)


def hash_of(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def _pixels(seed: int, count: int, size: int) -> U8:
    """Smooth pictures with some noise, [N, 2, S, S, 3]: they compress as photos do."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, size)
    slopes = random.uniform(-60, 60, (count, 2, 1, 1, 3))
    light = random.uniform(80, 170, (count, 2, 1, 1, 3)) + slopes * (ramp[:, None] + ramp)[None, None, :, :, None]
    return np.clip(light + random.normal(0, 4, (count, 2, size, size, 3)), 0, 255).astype(np.uint8)
