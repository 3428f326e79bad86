"""Enhance whole photos with a trained generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpedkit.errors import DpedError, UsageError
from dpedkit.files import storage_error
from dpedkit.images import LIMIT_PX, PHOTO_SUFFIXES, find_photos, read_photo
from dpedkit.photo_writing import result_suffix, write_photo
from dpedkit.progress import Progress
from dpedkit.train import enhance, load_generator
from dpedkit.train.device import pick_device
from dpedkit.train.inference import MEMORY_BYTES
from dpedkit.train.weights import load_stamp


@dataclass(slots=True)
class EnhanceReport:
    """Input -> output of what was done; input -> cause of what failed; outputs that were there already.

    stamp  what must stand beside the results, and is in them as a comment: see train/stamp.py
    """

    written: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    stamp: str = ""


def enhance_photos(
    photos: Sequence[Path],
    model: Path,
    output: Path,
    *,
    device: str,
    overwrite: bool,
    dry_run: bool,
    progress: Progress,
    memory_bytes: int = MEMORY_BYTES,
    with_place: bool = True,
) -> EnhanceReport:
    """Enhance photos (files, or folders of them) into the folder `output`, under their own names.

    A HEIC or MPO photo becomes a JPEG. An output that is there already is left as it is unless `overwrite`; one that
    would replace its own input is refused then too, unless `output` is that folder and `overwrite` asks for it.

    memory_bytes  see `enhance`; the scratch file lies in `output`
    with_place    whether the results' EXIF may tell where a photo was taken

    Raises:
        UsageError: no photos, or two of the same name.
        WeightsError: the model cannot be read.
        StorageError: the disk is full, or the folder cannot be written.
    """
    plan = _plan(photos, output)
    report = EnhanceReport()
    todo = {source: target for source, target in plan.items() if overwrite or not target.exists()}
    report.skipped = [str(target) for source, target in plan.items() if source not in todo]
    if dry_run:
        report.written = {str(source): str(target) for source, target in todo.items()}
        return report
    generator, place = load_generator(model), pick_device(device)
    report.stamp = load_stamp(model)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, output) from error
    progress.start("enhance", len(todo))
    for source, target in todo.items():
        try:
            photo = read_photo(source, limit_px=LIMIT_PX)
        except DpedError as error:
            report.failures[str(source)] = error.cause
        else:
            enhanced = enhance(generator, photo.rgb, device=place, memory_bytes=memory_bytes, scratch=output)
            write_photo(target, enhanced, photo, report.stamp, with_place=with_place)
            report.written[str(source)] = str(target)
        progress.advance(note=source.name)
    progress.done(f"{len(report.written)} photos")
    return report


def _plan(photos: Sequence[Path], output: Path) -> dict[Path, Path]:
    plan: dict[Path, Path] = {}
    for given in photos:
        if not given.exists():
            raise UsageError(f"{given}: no such file or folder", "give photos, or folders of photos")
        for source in find_photos(given) if given.is_dir() else [given]:
            plan[source] = output / f"{source.stem}{result_suffix(source.suffix)}"
    if not plan:
        raise UsageError(
            f"no photos in {', '.join(map(str, photos))}", f"photos end in {', '.join(sorted(PHOTO_SUFFIXES))}"
        )
    if len(set(plan.values())) < len(plan):
        seen: dict[Path, Path] = {}
        for source, target in plan.items():
            if other := seen.get(target):
                raise UsageError(
                    f"{other} and {source} would both become {target}", "enhance them into different folders"
                )
            seen[target] = source
    return plan
