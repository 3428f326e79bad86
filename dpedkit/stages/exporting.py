"""Hand patches on in a layout that others read."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from dpedkit.db import Listing, SplitName, open_corpus, using_shards
from dpedkit.db.exporters import find_exporter
from dpedkit.db.exporters.exporter import EVERY_SPLIT, Exporter
from dpedkit.errors import UsageError
from dpedkit.executor import Workers
from dpedkit.files import storage_error
from dpedkit.progress import Progress
from dpedkit.stages.exporting_batches import carry_out, pair_tasks, write_pairs
from dpedkit.stages.exporting_card import card
from dpedkit.stages.exporting_folder import Unfinished, Written, part_of, unfinished
from dpedkit.stages.exporting_pairs import ExportedPairs
from dpedkit.stages.exporting_photos import PHOTOS, Photos, devices, find_photos, write_photos
from dpedkit.types import Json
from dpedkit.workspace import Workspace

WORTH_PAIRS, WORTH_PHOTOS = 1000, 100
"""More than these go to worker processes: fewer are written before those have started."""

MANIFEST, CARD, RECORD = "manifest.jsonl", "README.md", "export.json"

_PRIVATE_QUERY = re.compile(r"\b(shot|session|scene|tag|latitude|longitude|\w*path)\b")
_UNTOLD = "not told: it names what is private"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be exported.

    layout        name of an exporter
    snapshot      name of a snapshot; "": what is in use now
    phones        empty: all; so are splits
    where         of what is in use, what a query finds
    keep_private  shots by their own names, scenes, serial numbers
    licence       for the card
    photos        whole photos, too
    """

    layout: str
    snapshot: str = ""
    phones: tuple[str, ...] = ()
    splits: tuple[SplitName, ...] = ()
    where: str = ""
    keep_private: bool = False
    licence: str = ""
    photos: bool = False


@dataclass(slots=True, kw_only=True)
class ExportReport:
    """What was exported, or would be.

    hash      of the lists of patches, as a snapshot of them has it
    patches   phone -> split -> how many pairs
    left_out  the same for splits that the layout has no place for
    photos    whole ones; photos_left_out: path in the workspace -> why
    there     the folder held this very export already: nothing was done
    """

    folder: str
    layout: str
    hash: str
    patches: dict[str, dict[str, int]]
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    photos: int = 0
    photos_left_out: dict[str, str] = field(default_factory=dict)
    files: int = 0
    size_bytes: int = 0
    there: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """What goes where.

    record  what export.json will hold
    """

    exporter: Exporter
    listing: Listing
    pairs: ExportedPairs
    photos: Photos
    record: Json
    keep_private: bool


def export(
    workspace: Workspace, target: Path, wanted: Wanted, *, dry_run: bool, workers: Workers, progress: Progress
) -> ExportReport:
    """Write patches to a new folder; a killed export goes on where it was, and ends with the same bytes.

    Raises:
        UsageError: no such layout, patches that it cannot hold, or a folder that holds something else.
        CorpusError: no such snapshot or phone, no patches, or a broken shard; a photo that is missing or has changed.
        QueryError: a query that cannot be read, or asks for what is not there.
        StorageError: the disk is full; what was finished stays.
    """
    target = target.resolve()
    with using_shards(workspace.patches):
        plan = _plan(workspace, wanted)
        report = ExportReport(
            folder=str(target),
            layout=wanted.layout,
            hash=plan.listing.hash,
            patches=plan.record["patches"],
            left_out=plan.record["left_out"],
            photos=len(plan.photos.originals),
            photos_left_out=plan.photos.left_out,
            there=_is_there(target, plan.record["request"]),
        )
        if report.there and not dry_run:
            shutil.rmtree(part_of(target), ignore_errors=True)  # of one that was killed just after it was done
        if dry_run or report.there:
            return report
        progress.start("export", sum(plan.pairs.parts.values()) + report.photos)
        written = _write(workspace, plan, target, workers, progress)
        report.files, report.size_bytes = len(written), sum(file.size_bytes for file in written)
        progress.done(f"{report.files} files, {report.size_bytes / 1e6:.1f} MB")
        return report


def _plan(workspace: Workspace, wanted: Wanted) -> _Plan:
    exporter = find_exporter(wanted.layout)
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        every = corpus.listing(wanted.snapshot, phones=wanted.phones, splits=wanted.splits, where=wanted.where)
    listing = every.only(exporter.splits)
    _check_fit(exporter, wanted, listing)
    pairs = ExportedPairs(listing, keep_private=wanted.keep_private)
    _check_places(exporter, pairs)
    photos = Photos()
    if wanted.photos:
        photos = find_photos(workspace, exporter, listing, pairs, keep_private=wanted.keep_private)
    without_place = EVERY_SPLIT.keys() - exporter.splits.keys()
    told = {"left_out": every.only(without_place).counts(), "photos": len(photos.originals)}
    return _Plan(exporter, listing, pairs, photos, _record(workspace, wanted, listing, told), wanted.keep_private)


def _write(workspace: Workspace, plan: _Plan, target: Path, workers: Workers, progress: Progress) -> list[Written]:
    """Write what is missing, then all that tells of it; return every file."""
    with unfinished(target, plan.record["request"]) as folder:
        tasks = pair_tasks(plan.exporter, plan.pairs, workspace.patches, folder)
        labels = carry_out(write_pairs, tasks, folder, worth=WORTH_PAIRS, workers=workers, progress=progress)
        tasks = plan.photos.tasks(folder, keep_private=plan.keep_private)
        labels += carry_out(write_photos, tasks, folder, worth=WORTH_PHOTOS, workers=workers, progress=progress)
        sizes = sorted({int(size) for part in plan.listing.parts.values() for size in part["size"].unique()})
        told = card(plan.exporter, plan.record, devices(workspace, plan.listing), sizes)
        others = [
            *_write_lists(plan, folder),
            folder.write(CARD, told.encode()),
            folder.write(RECORD, f"{json.dumps(plan.record, indent=2)}\n".encode()),
        ]
        return folder.finish(target, labels, others)


def _check_fit(exporter: Exporter, wanted: Wanted, listing: Listing) -> None:
    if not listing.parts:
        raise UsageError(
            f"layout {wanted.layout} has no place for these splits: it has {', '.join(exporter.splits)}",
            "choose another layout, or other splits",
        )
    for (phone, _), part in listing.parts.items():
        size = int(part["size"].iloc[0])
        if exporter.patch_px not in (None, size):
            raise UsageError(
                f"layout {wanted.layout} is read as patches of {exporter.patch_px} px, those of {phone} have {size} px",
                f"choose another layout, or `dpedkit build-patches --size {exporter.patch_px}`",
            )


def _check_places(exporter: Exporter, pairs: ExportedPairs) -> None:
    """Refuse a layout in which a phone's photos would lie upon the DSLR's, since it calls that by the phone's name."""
    for part in pairs.parts:
        (first,) = pairs.pairs(part, 0, 1)
        places = list(exporter.place(first).values())
        if len(set(places)) < len(places):
            raise UsageError(
                f"both photos of a pair of {first.phone} would be {places[0]}: so this layout calls the DSLR",
                "choose another layout",
            )


def _record(workspace: Workspace, wanted: Wanted, listing: Listing, told: Json) -> Json:
    """Return what export.json will hold; `request` stands for all of it, and for what is not told."""
    record = {
        **asdict(wanted),
        "hash": listing.hash,
        "patches": listing.counts(),
        **told,
        "made": {"split": workspace.settings.split.model_dump(), **listing.made},
        "dpedkit": version("dpedkit"),
    }
    request = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    if _PRIVATE_QUERY.search(listing.made["where"]) and not wanted.keep_private:
        record |= {"where": _UNTOLD, "made": {**record["made"], "where": _UNTOLD}}
    return {**record, "request": request}


def _is_there(target: Path, request: str) -> bool:
    """Whether the target is this very export.

    Raises:
        UsageError: it is something else.
    """
    try:
        if not target.exists() or (target.is_dir() and not any(target.iterdir())):
            return False
        record = json.loads((target / RECORD).read_text(encoding="utf-8"))
        if record["request"] == request:
            return True
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        pass
    except OSError as error:
        raise storage_error(error, target) from error
    raise UsageError(f"{target} holds something else already", "choose a new folder, or remove this one")


def _write_lists(plan: _Plan, folder: Unfinished) -> Iterator[Written]:
    """Write the manifests and the lists that the layout's readers want."""
    exporter, pairs = plan.exporter, plan.pairs

    def lines() -> Iterator[str]:
        for part in pairs.parts:
            for pair, told in pairs.manifest(part):
                line = {"phone": pair.phone, "split": pair.split, **exporter.place(pair), **told}
                yield json.dumps(line, ensure_ascii=False)

    yield folder.write_lines(MANIFEST, lines())
    if plan.photos.originals:
        yield folder.write_lines(PHOTOS, plan.photos.manifest())
    for part in pairs.parts if exporter.index else ():
        path = exporter.index.format(phone=part[0], split=exporter.splits[part[1]])
        yield folder.write_lines(path, (exporter.line(pair) for pair in pairs.pairs(part)))
