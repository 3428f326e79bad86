"""Shards written anew without the rows that are of no use, and small ones together."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dpedkit.db import open_corpus, open_shard, write_shard
from dpedkit.db.compacting import ShardRows, shard_rows
from dpedkit.db.shards import rewriting_shards
from dpedkit.errors import CorpusError
from dpedkit.files import sha256_file, storage_error
from dpedkit.progress import Progress
from dpedkit.workspace import Workspace

FULL_BYTES = 64_000_000
"""Shards of less than half of this are put together, up to this: few files, and a damaged one costs little."""

_HEADER_BYTES = 128
_OURS = re.compile(r"[0-9a-f]{64}\.npy|\.[0-9a-f]{64}\.npy\.\d+\.part")


@dataclass(slots=True, kw_only=True)
class CompactReport:
    """What was done, or in a dry run would be.

    shards_before, shards_after  files
    freed_bytes                  on the disk, in the end
    rows                         pairs of patches that moved to a new shard
    forgotten                    patches of alignments that others have replaced, and that no snapshot holds
    skipped                      shard -> why it was left as it is
    """

    shards_before: int = 0
    shards_after: int = 0
    freed_bytes: int = 0
    rows: int = 0
    forgotten: int = 0
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one shard that are of use, how many it has, and the shape of each."""

    name: str
    rows: list[int]
    length: int
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        return len(self.rows) * math.prod(self.shape)


def compact(workspace: Workspace, *, dry_run: bool, progress: Progress, full_bytes: int = FULL_BYTES) -> CompactReport:
    """Write shards anew that hold rows of no use or are small, and remove the old files.

    A new shard is on the disk before its rows are named, all at once, and named before an old one is removed: killed
    at any moment, every patch has its pixels, and the next run goes on.

    full_bytes  shards of less than half of this are put together, up to this

    Raises:
        CorpusError: the index cannot be read.
        StorageError: the disk is full, or another command uses the shards.
    """
    with open_corpus(workspace.root, workspace.settings.database):
        pass  # brought to this version's schema, after a backup
    folder, report = workspace.patches, CompactReport()
    before = _sizes(folder)
    with ExitStack() as held, shard_rows(workspace.root, workspace.settings.database) as index:
        if not dry_run:
            held.enter_context(rewriting_shards(folder))
        report.forgotten = index.useless() if dry_run else index.forget()
        used = {name: rows for name, rows in index.used().items() if rows}
        groups = [group for group in _groups(list(_parts(folder, used, report)), full_bytes) if _is_worth_it(group)]
        after = _foreseen(before, used, groups)
        if not dry_run:
            _rewrite(folder, index, groups, report, progress)
            after = _sizes(folder)
    report.rows = sum(len(part.rows) for group in groups for part in group if part.name not in report.skipped)
    report.shards_before, report.shards_after = len(before), len(after)
    report.freed_bytes = sum(before.values()) - sum(after.values())
    return report


def _sizes(folder: Path) -> dict[str, int]:
    """Return the shards in a folder, those that were begun too, and how many bytes each has."""
    return {file.name: file.stat().st_size for file in folder.iterdir() if _OURS.fullmatch(file.name)}


def _parts(folder: Path, used: Mapping[str, list[int]], report: CompactReport) -> Iterator[_Part]:
    for name, rows in used.items():
        try:
            pixels = open_shard(folder, name)
        except CorpusError as error:
            report.skipped[name] = error.cause
            continue
        if rows[-1] < len(pixels):
            yield _Part(name, rows, len(pixels), pixels.shape[1:])
        else:
            report.skipped[name] = f"the shard {folder / name} has {len(pixels)} rows, but row {rows[-1]} is wanted"


def _groups(parts: Sequence[_Part], full_bytes: int) -> Iterator[list[_Part]]:
    """Yield the shards whose rows go to a new one, in such a way that a second run finds nothing to do."""
    small: dict[tuple[int, ...], list[_Part]] = {}
    for part in parts:
        if part.size_bytes >= full_bytes / 2:
            yield [part]
            continue
        group = small.setdefault(part.shape, [])
        if sum(other.size_bytes for other in group) + part.size_bytes > full_bytes:
            yield group
            group = small[part.shape] = []
        group.append(part)
    yield from small.values()


def _is_worth_it(group: list[_Part]) -> bool:
    return len(group) > 1 or len(group[0].rows) < group[0].length


def _foreseen(before: Mapping[str, int], used: Collection[str], groups: Sequence[list[_Part]]) -> dict[str, int]:
    """Return the files that there will be, by the name of the first that goes into each."""
    gone = {part.name for group in groups for part in group}
    stay = {name: size for name, size in before.items() if name in used and name not in gone}
    return stay | {group[0].name: _HEADER_BYTES + sum(part.size_bytes for part in group) for group in groups}


def _rewrite(
    folder: Path, index: ShardRows, groups: Sequence[list[_Part]], report: CompactReport, progress: Progress
) -> None:
    _remove_unnamed(folder, index)  # of shards without patches, and of a run that was killed
    progress.start("compact", len(groups))
    for group in groups:
        parts = [part for part in group if _is_sound(folder, part.name, report)]
        if parts:
            pixels = np.concatenate([open_shard(folder, part.name)[part.rows] for part in parts])
            shard = write_shard(folder, pixels[:, 0], pixels[:, 1])
            old = [(part.name, row) for part in parts for row in part.rows]
            index.move({place: row for row, place in enumerate(old)}, shard)
            _remove_unnamed(folder, index)
        progress.advance()
    progress.done()


def _is_sound(folder: Path, name: str, report: CompactReport) -> bool:
    """A new name would vouch for whatever pixels there are: damage must not come to be called sound."""
    if f"{sha256_file(folder / name)}.npy" == name:
        return True
    report.skipped[name] = f"the shard {folder / name} has changed since it was written"
    return False


def _remove_unnamed(folder: Path, index: ShardRows) -> None:
    named = index.drop_empty()
    for name in _sizes(folder).keys() - named:
        try:
            (folder / name).unlink()
        except OSError as error:
            raise storage_error(error, folder / name) from error
