"""What is exported, some at a time: made where it is missing, in worker processes where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dpedkit.db import open_shard
from dpedkit.db.exporters.exporter import Exporter, Pair
from dpedkit.executor import Outcome, Workers, run_parallel
from dpedkit.progress import Progress
from dpedkit.stages.exporting_folder import Unfinished
from dpedkit.stages.exporting_pairs import ExportedPairs, Part
from dpedkit.types import U8


@dataclass(frozen=True, slots=True)
class Task:
    """Something to be done, unless it is noted as finished.

    label  by which it is noted
    steps  how far it brings the progress
    make   returns what a worker gets, which has `steps`, too
    """

    label: str
    steps: int
    make: Callable[[], Any]


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

    @property
    def steps(self) -> int:
        """How many they are."""
        return len(self.pairs)

    def __str__(self) -> str:
        return self.label


def pair_tasks(exporter: Exporter, pairs: ExportedPairs, shards: Path, into: Unfinished) -> Iterator[Task]:
    """Yield what is to be done for all pairs."""

    def make(label: str, part: Part, start: int, stop: int) -> Batch:
        chosen = tuple(pairs.pairs(part, start, stop))
        return Batch(label, exporter, chosen, pairs.places(part, start, stop), shards, into)

    for (phone, split), count in pairs.parts.items():
        for start in range(0, count, exporter.batch):
            stop = min(start + exporter.batch, count)
            label = f"{phone} {split} {start}"
            yield Task(label, stop - start, partial(make, label, (phone, split), start, stop))


def carry_out(
    function: Callable[[Any], int],
    tasks: Iterable[Task],
    into: Unfinished,
    *,
    worth: int,
    workers: Workers,
    progress: Progress,
) -> list[str]:
    """Do what is not noted yet; return all labels, in order.

    worth  more steps than these go to worker processes: fewer are done before those have started

    Raises:
        DpedError: the first one that any raises: an export is whole or not at all.
    """
    tasks = list(tasks)

    def missing() -> Iterator[Any]:
        for task in tasks:
            if into.noted(task.label):
                progress.advance(task.steps)
            else:
                yield task.make()

    if sum(task.steps for task in tasks) > worth:
        outcomes = run_parallel(function, missing(), workers=workers, say=progress.say)
    else:
        outcomes = (Outcome(item, function(item), None) for item in missing())
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        progress.advance(outcome.item.steps)
    return [task.label for task in tasks]


def write_pairs(batch: Batch) -> int:
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
