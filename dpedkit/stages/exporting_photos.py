"""The whole photos that exported patches are from."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dpedkit.db import Listing, SplitName
from dpedkit.db.exporters.exporter import Exporter, WholePhoto
from dpedkit.errors import CorpusError, DpedError
from dpedkit.files import storage_error
from dpedkit.images import read_meta
from dpedkit.stages.exporting_batches import Task
from dpedkit.stages.exporting_folder import Unfinished
from dpedkit.stages.exporting_pairs import ExportedPairs
from dpedkit.stages.frames import rows
from dpedkit.stripping import strip_private
from dpedkit.workspace import Workspace

PHOTOS = "photos.jsonl"

_AT_A_TIME = 20
_ENDINGS = {".jpg": ".jpg", ".jpeg": ".jpg", ".mpo": ".jpg", ".png": ".png"}  # of what is stripped


@dataclass(frozen=True, slots=True)
class Original:
    """A photo of the workspace and where it goes.

    path  its file
    to    path in the exported folder
    """

    path: Path
    sha256: str
    to: str
    photo: WholePhoto


@dataclass(frozen=True, slots=True)
class PhotoBatch:
    """Some photos, for a worker process."""

    label: str
    originals: tuple[Original, ...]
    into: Unfinished
    keep_private: bool

    @property
    def steps(self) -> int:
        """How many they are."""
        return len(self.originals)

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class Photos:
    """The photos of an export.

    originals  by SHA-256
    left_out   path in the workspace -> why
    """

    originals: dict[str, Original] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def tasks(self, into: Unfinished, *, keep_private: bool) -> Iterator[Task]:
        """Yield what is to be done, some photos at a time."""
        every = tuple(self.originals.values())
        for start in range(0, len(every), _AT_A_TIME):
            label, some = f"photos {start}", every[start : start + _AT_A_TIME]
            yield Task(label, len(some), partial(PhotoBatch, label, some, into, keep_private))

    def manifest(self) -> Iterator[str]:
        """Yield a line for each."""
        for one in self.originals.values():
            photo = one.photo
            line = {"file": one.to, "device": photo.device, "role": photo.role, "split": photo.split}
            yield json.dumps({**line, "shot": photo.shot, "original_sha256": one.sha256}, ensure_ascii=False)


def find_photos(
    workspace: Workspace, exporter: Exporter, listing: Listing, pairs: ExportedPairs, *, keep_private: bool
) -> Photos:
    """Return the photos that patches of a listing are from, as far as the layout has a place for them."""
    photos = Photos()
    numbers: Counter[tuple[str, str]] = Counter()
    for device, role, split, shot, path, sha256 in _sources(listing):
        photo = WholePhoto(device, role, split, pairs.shots[shot], numbers[device, split])
        place, suffix = exporter.photo(photo), Path(path).suffix.lower()
        if not place or sha256 in photos.originals:
            continue
        if suffix == ".json":
            photos.left_out[path] = "no photo: its patches came alone"
        elif suffix not in _ENDINGS and not keep_private:
            photos.left_out[path] = "only JPEG and PNG are stripped of what is private without a loss"
        else:
            to = place + (suffix if keep_private else _ENDINGS[suffix])
            photos.originals[sha256] = Original(workspace.root / path, sha256, to, photo)
            numbers[device, split] += 1
    return photos


def _sources(listing: Listing) -> Iterator[tuple[str, str, SplitName, str, str, str]]:
    """Yield the two photos of every pair: device, role, split, shot, path, SHA-256; the DSLR's once for each phone."""
    columns = ["shot", "dslr", "phone_path", "dslr_path", "phone_sha256", "dslr_sha256"]
    for (phone, split), part in listing.parts.items():
        for row in rows(part[columns].drop_duplicates().sort_values("shot")):
            yield phone, "phone", split, row.shot, row.phone_path, row.phone_sha256
            yield row.dslr, "dslr", split, row.shot, row.dslr_path, row.dslr_sha256


def devices(workspace: Workspace, listing: Listing) -> dict[str, dict[str, str]]:
    """Return a listing's devices; where the corpus knows no model, their first photo may tell."""
    first: dict[str, str] = {}
    for device, _, _, _, path, _ in _sources(listing):
        first.setdefault(device, path)
        if len(first) == len(listing.devices):
            break
    return {
        name: {**facts, "model": facts["model"] or _model(workspace.root / first[name])}
        for name, facts in listing.devices.items()
    }


def _model(path: Path) -> str:
    try:
        meta = read_meta(path)
    except DpedError:
        return ""
    return f"{meta.make} {meta.model}".strip()


def write_photos(batch: PhotoBatch) -> int:
    """Copy some photos, stripped of what is private; return how many.

    Raises:
        CorpusError: a photo is missing, or not what the corpus knows.
        StorageError: the disk is full.
    """
    written = []
    for one in batch.originals:
        data = _read(one)
        if not batch.keep_private:
            data = strip_private(data, str(one.path))
        written.append(batch.into.write(one.to, data))
    batch.into.note(batch.label, written)
    return len(written)


def _read(one: Original) -> bytes:
    try:
        data = one.path.read_bytes()
    except FileNotFoundError as error:
        raise CorpusError(f"the photo {one.path} is missing", "put it back, or export without --photos") from error
    except OSError as error:
        raise storage_error(error, one.path) from error
    if hashlib.sha256(data).hexdigest() != one.sha256:
        raise CorpusError(f"the photo {one.path} has changed", "`dpedkit fsck` says what is damaged; put it back")
    return data
