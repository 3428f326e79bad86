"""Pair photos by what they show, where their times do not tell: small pictures, and the aligner as the judge.

Two photos show the same if the aligner finds hundreds of points of one in the other, whatever the fields of view and
the colours. It takes a fraction of a second for each two, so a coarse likeness picks whom to compare.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from dpedkit.align import PairRejected, align_pair
from dpedkit.executor import Workers, run_parallel
from dpedkit.images import encode_jpeg, read_rgb, shrink
from dpedkit.progress import Progress
from dpedkit.stages.pairing import Partners
from dpedkit.stages.pairing_times import ClockFit
from dpedkit.stages.takes import Header, Take
from dpedkit.types import F64, U8

_SMALL_PX = 320
_GRID = 16
_CROPS = (1.0, 0.85, 0.7)
_COMPARED = 4  # photos of the other camera that each is compared with
_SAMPLES = 6  # pairs of each of several offsets that are looked at
_MOST_SHARE, _LEAST_SHARE = 0.75, 0.5
_MARGIN = 0.5
_TOO_ALIKE, _UNLIKE = "it looks like several photos of the other camera", "it looks like no photo of the other camera"


@dataclass(frozen=True, slots=True)
class Look:
    """Two small pictures to compare, as JPEGs, for a worker process."""

    names: str
    dslr: bytes
    phone: bytes

    def __str__(self) -> str:
        return self.names


class Eyes:
    """Looks at photos in worker processes; each is read once."""

    def __init__(self, limit_px: int, workers: Workers, progress: Progress) -> None:
        self._limit_px, self._workers, self._progress = limit_px, workers, progress
        self._small: dict[Path, bytes] = {}

    def choose(self, dslr: Sequence[Take], phone: Sequence[Take], fits: Sequence[ClockFit]) -> int | None:
        """Return which of several fits pairs photos that show the same; None where that cannot be seen."""
        samples = [_samples(fit) for fit in fits]
        alike = self._alike([(dslr[our], phone[their]) for own in samples for our, their in own])
        shares: list[float] = []
        for own in samples:
            counts, alike = alike[: len(own)], alike[len(own) :]
            shares.append(sum(count > 0 for count in counts) / len(own))
        best = int(np.argmax(shares))
        others = [share for index, share in enumerate(shares) if index != best]
        return best if shares[best] >= _MOST_SHARE and max(others, default=0.0) <= _LEAST_SHARE else None

    def match(self, dslr: Sequence[Take], phone: Sequence[Take], partners: Partners) -> None:
        """Find partners among the photos that have none, of which at least one has no time."""
        ours, theirs = sorted(partners.why_dslr), sorted(partners.why)
        if all(take.taken_at is not None for take in (*dslr, *phone)) or not ours or not theirs:
            return
        self._read([dslr[index] for index in ours] + [phone[index] for index in theirs])
        ours = [index for index in ours if dslr[index].path in self._small]
        theirs = [index for index in theirs if phone[index].path in self._small]
        if not ours or not theirs:
            return
        untimed = [[own[index].taken_at is None for index in kept] for own, kept in ((dslr, ours), (phone, theirs))]
        likeness = _likeness(
            [_vectors(self._small[dslr[index].path]) for index in ours],
            [_vectors(self._small[phone[index].path]) for index in theirs],
        )
        likeness[~(np.array(untimed[0])[:, None] | np.array(untimed[1]))] = -np.inf
        places = _closest(likeness)
        found = self._alike([(dslr[ours[row]], phone[theirs[column]]) for row, column in places])
        agreeing = np.zeros(likeness.shape)
        for place, count in zip(places, found, strict=True):
            agreeing[place] = count
        for row, column in _mutual(agreeing):
            partners.pairs[ours[row]] = theirs[column]
            del partners.why_dslr[ours[row]], partners.why[theirs[column]]
        _explain(partners.why_dslr, ours, agreeing)
        _explain(partners.why, theirs, agreeing.T)

    def _alike(self, couples: Sequence[tuple[Take, Take]]) -> list[int]:
        """Return of each two photos how many points of one were found in the other; 0: they show different things."""
        self._read([take for couple in couples for take in couple])
        jobs = [
            Look(f"{ours.path.name} and {theirs.path.name}", self._small[ours.path], self._small[theirs.path])
            for ours, theirs in couples
            if ours.path in self._small and theirs.path in self._small
        ]
        self._progress.start("compare photos", len(jobs))
        counts: dict[str, int] = {}
        for outcome in run_parallel(compare, jobs, workers=self._workers, say=self._progress.say):
            counts[outcome.item.names] = outcome.value or 0
            self._progress.advance()
        self._progress.done()
        return [counts.get(f"{ours.path.name} and {theirs.path.name}", 0) for ours, theirs in couples]

    def _read(self, takes: Sequence[Take]) -> None:
        """Keep a small picture of each photo; one that cannot be read is told of when it is brought in."""
        new = {take.path: Header(take.path, self._limit_px) for take in takes if take.path not in self._small}
        self._progress.start("look at photos", len(new))
        for outcome in run_parallel(small_picture, new.values(), workers=self._workers, say=self._progress.say):
            if outcome.value is not None:
                self._small[outcome.item.path] = outcome.value
            self._progress.advance()
        self._progress.done()


def small_picture(photo: Header) -> bytes:
    """Return a photo as a JPEG of 320 px."""
    return encode_jpeg(shrink(read_rgb(photo.path, limit_px=photo.limit_px), _SMALL_PX), quality=90)


def compare(look: Look) -> int:
    """Return how many points of one picture the aligner found in the other; 0 where it refuses them."""
    try:
        return align_pair(_decoded(look.phone), _decoded(look.dslr)).inliers
    except PairRejected:
        return 0


@lru_cache(64)
def _decoded(jpeg: bytes) -> U8:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.array(image.convert("RGB"))


def _samples(fit: ClockFit) -> list[tuple[int, int]]:
    some = np.linspace(0, len(fit.pairs) - 1, min(len(fit.pairs), _SAMPLES)).astype(np.int64)
    return [(int(our), int(their)) for our, their in fit.pairs[some]]


def _vectors(jpeg: bytes) -> F64:
    """Return a picture and its middle in two sizes as vectors [3, 256]: luma on a coarse grid, mean 0, length 1."""
    with Image.open(io.BytesIO(jpeg)) as image:
        gray = image.convert("L")
    vectors = []
    for crop in _CROPS:
        width, height = gray.width * crop, gray.height * crop
        left, top = (gray.width - width) / 2, (gray.height - height) / 2
        box = (left, top, left + width, top + height)
        small = np.asarray(gray.resize((_GRID, _GRID), Image.Resampling.BOX, box=box), np.float64).ravel()
        ranks = small.argsort().argsort() - (small.size - 1) / 2  # whatever the tone curves
        vectors.append(ranks / np.linalg.norm(ranks))
    return np.array(vectors)


def _likeness(dslr: Sequence[F64], phone: Sequence[F64]) -> F64:
    """Return [N, M]: the correlation of two photos' ranks, at the crops where they agree best."""
    first, second = np.stack(dslr), np.stack(phone)
    best = np.full((len(first), len(second)), -1.0)
    for ours in range(len(_CROPS)):
        for theirs in range(len(_CROPS)):
            if 0 in (ours, theirs):
                best = np.maximum(best, first[:, ours] @ second[:, theirs].T)
    return best


def _closest(likeness: F64) -> list[tuple[int, int]]:
    """Return whom to compare: each photo with those of the other camera that look most like it."""
    places: set[tuple[int, int]] = set()
    for row in range(likeness.shape[0]):
        places |= {(row, int(column)) for column in np.argsort(-likeness[row])[:_COMPARED]}
    for column in range(likeness.shape[1]):
        places |= {(int(row), column) for row in np.argsort(-likeness[:, column])[:_COMPARED]}
    return sorted(place for place in places if np.isfinite(likeness[place]))


def _mutual(agreeing: F64) -> list[tuple[int, int]]:
    """Return the places that are far above all others of their row and of their column."""
    found = []
    for row, column in zip(*np.nonzero(agreeing), strict=True):
        others = np.concatenate([np.delete(agreeing[row], column), np.delete(agreeing[:, column], row)])
        if others.max(initial=0.0) <= _MARGIN * agreeing[row, column]:
            found.append((int(row), int(column)))
    return found


def _explain(why: dict[int, str], indices: Sequence[int], agreeing: F64) -> None:
    for row, index in enumerate(indices):
        if index in why:
            why[index] += f", and {_TOO_ALIKE if agreeing[row].any() else _UNLIKE}"
