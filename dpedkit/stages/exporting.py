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

import numpy as np

from dpedkit.db import Listing, SplitName, open_corpus, open_shard
from dpedkit.db.exporters import find_exporter
from dpedkit.db.exporters.exporter import Exporter, Pair
from dpedkit.errors import UsageError
from dpedkit.executor import Outcome, Workers, run_parallel
from dpedkit.files import storage_error
from dpedkit.progress import Progress
from dpedkit.stages.exporting_card import card
from dpedkit.stages.exporting_folder import Unfinished, Written, part_of, unfinished
from dpedkit.stages.exporting_pairs import ExportedPairs, counts, only
from dpedkit.types import U8, Json
from dpedkit.workspace import Workspace

WORTH_WORKERS = 1000
"""More pairs than these go to worker processes: fewer are written before those have started."""

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
    """

    layout: str
    snapshot: str = ""
    phones: tuple[str, ...] = ()
    splits: tuple[SplitName, ...] = ()
    where: str = ""
    keep_private: bool = False
    licence: str = ""


@dataclass(slots=True, kw_only=True)
class ExportReport:
    """What was exported, or would be.

    hash      of the lists of patches, as a snapshot of them has it
    patches   phone -> split -> how many pairs
    left_out  the same for splits that the layout has no place for
    there     the folder held this very export already: nothing was done
    """

    folder: str
    layout: str
    hash: str
    patches: dict[str, dict[str, int]]
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    size_bytes: int = 0
    there: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pairs of one phone and split, for a worker process.

    places  (shard, row) of each
    """

    label: str
    exporter: Exporter
    pairs: tuple[Pair, ...]
    places: tuple[tuple[str, int], ...]
    shards: Path
    into: Unfinished

    def __str__(self) -> str:
        return self.label


def export(
    workspace: Workspace, target: Path, wanted: Wanted, *, dry_run: bool, workers: Workers, progress: Progress
) -> ExportReport:
    """Write patches to a new folder; a killed export goes on where it was, and ends with the same bytes.

    Raises:
        UsageError: no such layout, patches that it cannot hold, or a folder that holds something else.
        CorpusError: no such snapshot or phone, no patches, or a broken shard.
        QueryError: a query that cannot be read, or asks for what is not there.
        StorageError: the disk is full; what was finished stays.
    """
    exporter = find_exporter(wanted.layout)
    target = target.resolve()
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        every = corpus.listing(wanted.snapshot, phones=wanted.phones, splits=wanted.splits, where=wanted.where)
    listing, left_out = only(every, frozenset(exporter.splits)), counts(only(every, _beside(exporter)))
    _check_fit(exporter, wanted, listing)
    record = _record(workspace, wanted, listing, left_out)
    report = ExportReport(
        folder=str(target), layout=wanted.layout, hash=listing.hash, patches=record["patches"], left_out=left_out
    )
    report.there = _is_there(target, record["request"])
    if report.there and not dry_run:
        shutil.rmtree(part_of(target), ignore_errors=True)  # of one that was killed just after it was done
    if dry_run or report.there:
        return report
    pairs = ExportedPairs(listing, keep_private=wanted.keep_private)
    progress.start("export", sum(pairs.parts.values()))
    with unfinished(target, record["request"]) as folder:
        labels = _write_batches(exporter, pairs, workspace.patches, folder, workers, progress)
        sizes = sorted({int(size) for part in listing.parts.values() for size in part["size"].unique()})
        others = [
            *_write_lists(exporter, pairs, folder),
            folder.write(CARD, card(exporter, record, listing.devices, sizes).encode()),
            folder.write(RECORD, f"{json.dumps(record, indent=2)}\n".encode()),
        ]
        written = folder.finish(target, labels, others)
    report.files, report.size_bytes = len(written), sum(file.size_bytes for file in written)
    progress.done(f"{report.files} files, {report.size_bytes / 1e6:.1f} MB")
    return report


def write_batch(batch: Batch) -> int:
    """Make a batch's files and note them; return how many there are.

    Raises:
        CorpusError: a shard is missing or broken.
        StorageError: the disk is full.
    """
    phone, dslr = _pixels(batch)
    written = [batch.into.write(path, data) for path, data in batch.exporter.files(batch.pairs, phone, dslr)]
    batch.into.note(batch.label, written)
    return len(written)


def _pixels(batch: Batch) -> tuple[U8, U8]:
    """Return the pixels of a batch, [N, S, S, 3] each."""
    shards = {name: open_shard(batch.shards, name) for name in {shard for shard, _ in batch.places}}
    both = np.stack([shards[shard][row] for shard, row in batch.places])
    return both[:, 0], both[:, 1]


def _beside(exporter: Exporter) -> frozenset[SplitName]:
    every: tuple[SplitName, ...] = ("train", "val", "test")
    return frozenset(every) - frozenset(exporter.splits)


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


def _record(workspace: Workspace, wanted: Wanted, listing: Listing, left_out: dict[str, dict[str, int]]) -> Json:
    """Return what export.json will hold; `request` stands for all of it, and for what is not told."""
    record = {
        **asdict(wanted),
        "hash": listing.hash,
        "patches": counts(listing),
        "left_out": left_out,
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


def _write_batches(
    exporter: Exporter, pairs: ExportedPairs, shards: Path, folder: Unfinished, workers: Workers, progress: Progress
) -> list[str]:
    """Write what is not written yet, in parallel; return the names of all batches, in order."""
    ranges = {
        f"{phone} {split} {start}": ((phone, split), start, min(start + exporter.batch, count))
        for (phone, split), count in pairs.parts.items()
        for start in range(0, count, exporter.batch)
    }

    def missing() -> Iterator[Batch]:
        for label, (part, start, stop) in ranges.items():
            if folder.noted(label):
                progress.advance(stop - start)
                continue
            chosen = tuple(pairs.pairs(part, start, stop))
            yield Batch(label, exporter, chosen, pairs.places(part, start, stop), shards, folder)

    if sum(pairs.parts.values()) > WORTH_WORKERS:
        outcomes = run_parallel(write_batch, missing(), workers=workers, say=progress.say)
    else:
        outcomes = (Outcome(batch, write_batch(batch), None) for batch in missing())
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error  # an export is whole or not at all
        progress.advance(len(outcome.item.pairs))
    return list(ranges)


def _write_lists(exporter: Exporter, pairs: ExportedPairs, folder: Unfinished) -> Iterator[Written]:
    """Write the manifest and the lists that the layout's readers want."""

    def lines() -> Iterator[str]:
        for part in pairs.parts:
            for pair, told in pairs.manifest(part):
                line = {"phone": pair.phone, "split": pair.split, **exporter.place(pair), **told}
                yield json.dumps(line, ensure_ascii=False)

    yield folder.write_lines(MANIFEST, lines())
    for part in pairs.parts if exporter.index else ():
        path = exporter.index.format(phone=part[0], split=exporter.splits[part[1]])
        yield folder.write_lines(path, (exporter.line(pair) for pair in pairs.pairs(part)))
