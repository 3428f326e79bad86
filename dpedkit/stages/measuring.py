"""Measure what has not been measured yet: photos that no import measured, and pairs since they were aligned.

A shot is one job: its photos are decoded once each, however many pairs the DSLR's is in. Alignment does not measure:
it would cost a third of its time again, and pairs are aligned twice where lenses are learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dpedkit.align import Alignment, resample_rows
from dpedkit.db import Corpus, open_corpus
from dpedkit.errors import DpedError, ImageError
from dpedkit.executor import Outcome, Workers, run_parallel
from dpedkit.images import PHOTO_SUFFIXES, read_rgb
from dpedkit.measures import MEASURES_VERSION, Measures, measure
from dpedkit.pair_measures import BLOCK_PX, STRIP_PX, PairMeasures, Strip, measure_pair
from dpedkit.progress import Progress
from dpedkit.raw import RAW_SUFFIXES
from dpedkit.stages import given
from dpedkit.stages.frames import rows
from dpedkit.types import U8, Json
from dpedkit.workspace import Workspace

_STRIPS = 12
_TRUSTED = 0.5  # as the patches' gates have it


@dataclass(frozen=True, slots=True)
class PairToMeasure:
    """An aligned pair: its alignment's key, its phone and, once it is on its way to a worker, the aligner's model."""

    alignment: str
    phone: str
    model: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeasureJob:
    """A shot's photos and pairs, for a worker process.

    paths   device -> its picture
    photos  device -> SHA-256 of those to be measured
    dslr    the device that the pairs have in common
    """

    shot: str
    paths: dict[str, Path]
    photos: dict[str, str]
    dslr: str
    pairs: tuple[PairToMeasure, ...]
    limit_px: int

    def __str__(self) -> str:
        return self.shot


@dataclass(slots=True)
class Measured:
    """What a worker gives back.

    photos    SHA-256 -> its measures
    pairs     alignment's key -> its measures
    failures  "SHOT DEVICE" -> why its photo could not be read
    """

    photos: dict[str, Measures] = field(default_factory=dict)
    pairs: dict[str, PairMeasures] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """Medians over what is measured of a device's photos, and of its pairs where it is a phone; None: nothing is.

    noise            of 255 levels
    light_ev         how bright its photos are, in stops below white
    exposure_drift_ev, white_drift, sharpness_drift   the worst from one shot to the next (dpedkit.db.drift)
    gain_ev          stops by which the DSLR's photo is the brighter one
    sharpness_ratio  DSLR over phone
    """

    device: str
    photos: int
    sharpness: float | None
    noise: float | None
    clipped: float | None
    light_ev: float | None
    exposure_drift_ev: float | None
    white_drift: float | None
    sharpness_drift: float | None
    pairs: int
    gain_ev: float | None
    sharpness_ratio: float | None


@dataclass(slots=True)
class MeasureReport:
    """What was measured now, or would be in a dry run; `devices` tells of all that is measured."""

    photos: int = 0
    pairs: int = 0
    done_before: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    devices: list[DeviceRow] = field(default_factory=list)


def measure_corpus(workspace: Workspace, *, workers: Workers, dry_run: bool, progress: Progress) -> MeasureReport:
    """Measure all photos and aligned pairs that this version has not measured yet.

    Each shot is recorded as soon as it is done.
    """
    report = MeasureReport()
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        jobs, report.done_before = _jobs(workspace, corpus)
        if dry_run:
            report.photos = sum(len(job.photos) for job in jobs)
            report.pairs = sum(len(job.pairs) for job in jobs)
        else:
            _run(corpus, jobs, workers, progress, report)
        report.devices = list(_devices(corpus.photos(), corpus.pairs()))
    return report


def measure_shot(job: MeasureJob) -> Measured:
    """Decode and measure, in a worker; a photo that cannot be read keeps the others of its shot from nothing."""
    done = Measured()
    dslr = _read(job, job.dslr, done) if job.dslr else None
    if dslr is not None and job.dslr in job.photos:
        done.photos[job.photos[job.dslr]] = measure(dslr)
    for device in job.paths:
        phone = _read(job, device, done) if device != job.dslr else None
        if phone is None:
            continue
        if device in job.photos:
            done.photos[job.photos[device]] = measure(phone)
        for pair in job.pairs:
            if pair.phone == device and dslr is not None:
                done.pairs[pair.alignment] = measure_pair(_strips(phone, dslr, Alignment.from_dict(pair.model)))
    return done


def _read(job: MeasureJob, device: str, done: Measured) -> U8 | None:
    try:
        return read_rgb(job.paths[device], limit_px=job.limit_px)
    except ImageError as error:
        done.failures[f"{job.shot} {device}"] = error.cause
        return None


def _strips(phone: U8, dslr: U8, alignment: Alignment) -> Iterator[Strip]:
    """Yield strips spread over the phone's photo, with what the DSLR shows there."""
    height, width = phone.shape[:2]
    count = min(_STRIPS, height // STRIP_PX)
    tops = np.linspace(0, height - STRIP_PX, count).astype(int).tolist() if count else []
    bands = [slice(top, top + STRIP_PX) for top in tops]
    for band, (there, reached) in zip(bands, resample_rows(dslr, alignment, bands), strict=True):
        xs, ys = np.arange(0, width, BLOCK_PX), np.arange(band.start, band.stop, BLOCK_PX)
        nodes = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.float64)
        trusted = (alignment.confidence(nodes) >= _TRUSTED).reshape(len(ys), len(xs))
        spread = np.kron(trusted, np.ones((BLOCK_PX, BLOCK_PX), np.bool_))[:STRIP_PX, :width]
        yield Strip(phone[band], there, reached & spread)


def _jobs(workspace: Workspace, corpus: Corpus) -> tuple[list[MeasureJob], int]:
    """Return a job for each shot where something is missing, and how many photos and pairs are done."""
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    files = {suffix.removeprefix(".") for suffix in PHOTO_SUFFIXES | RAW_SUFFIXES}
    photos = corpus.photos("picture")
    photos = photos[photos["format"].isin(files)]
    pairs = given.with_photos(corpus.pairs("status = 'aligned'"))
    stale = pairs[pairs["measured"] != MEASURES_VERSION]
    by_shot = dict(iter(stale.groupby("shot")))
    jobs, done = [], len(pairs) - len(stale)
    for shot, taken in photos.groupby("shot"):
        todo = list(rows(by_shot[shot])) if shot in by_shot else []
        fresh = taken[taken["measured"] != MEASURES_VERSION]
        done += len(taken) - len(fresh)
        needed = {*fresh["device"], *(pair.phone for pair in todo), *(pair.dslr for pair in todo)}
        if needed:
            jobs.append(
                MeasureJob(
                    shot=str(shot),
                    paths={row.device: workspace.root / row.path for row in rows(taken) if row.device in needed},
                    photos={row.device: row.sha256 for row in rows(fresh)},
                    dslr=next((row.device for row in rows(taken) if row.role == "dslr" and row.device in needed), ""),
                    pairs=tuple(PairToMeasure(pair.alignment, pair.phone) for pair in todo),
                    limit_px=limit_px,
                )
            )
    return jobs, done


def _with_models(corpus: Corpus, jobs: Iterable[MeasureJob]) -> Iterator[MeasureJob]:
    """Yield the jobs with what their workers need; all models at once would not fit into the memory."""
    for job in jobs:
        yield replace(
            job, pairs=tuple(replace(pair, model=corpus.alignment_model(pair.alignment)) for pair in job.pairs)
        )


def _run(corpus: Corpus, jobs: list[MeasureJob], workers: Workers, progress: Progress, report: MeasureReport) -> None:
    progress.start("measure", len(jobs))
    for outcome in run_parallel(
        measure_shot, _with_models(corpus, jobs), workers=workers, folder=corpus.root, say=progress.say
    ):
        measured = _told(outcome, report)
        corpus.store.add_measures(
            photos={sha256: asdict(found) for sha256, found in measured.photos.items()},
            alignments={key: asdict(found) for key, found in measured.pairs.items()},
            version=MEASURES_VERSION,
        )
        report.photos += len(measured.photos)
        report.pairs += len(measured.pairs)
        report.failures |= measured.failures
        progress.advance()
    progress.done(f"{report.photos} photos and {report.pairs} pairs measured")


def _told(outcome: Outcome[MeasureJob, Measured], report: MeasureReport) -> Measured:
    if outcome.value is not None:
        return outcome.value
    error = outcome.error or DpedError("no result")
    report.failures[outcome.item.shot] = error.cause
    return Measured()


def _devices(photos: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[DeviceRow]:
    measured = photos[photos["measured"].notna()]
    for device, taken in measured.groupby("device"):
        own = pairs[(pairs["phone"] == device) & pairs["gain_ev"].notna()]
        light = 0.2126 * taken["mean_red"] + 0.7152 * taken["mean_green"] + 0.0722 * taken["mean_blue"]
        yield DeviceRow(
            device=str(device),
            photos=len(taken),
            sharpness=_median(taken["sharpness"]),
            noise=_median(taken["noise"]),
            clipped=_median(taken["clipped"]),
            light_ev=_median(light[light > 0].map(np.log2)),
            exposure_drift_ev=_worst(taken["exposure_drift_ev"]),
            white_drift=_worst(taken["white_drift"]),
            sharpness_drift=_worst(taken["sharpness_drift"]),
            pairs=len(own),
            gain_ev=_median(own["gain_ev"]),
            sharpness_ratio=_median(own["sharpness_ratio"]),
        )


def _median(column: pd.Series[float]) -> float | None:
    known = column.dropna()
    return float(known.median()) if len(known) else None


def _worst(column: pd.Series[float]) -> float | None:
    known = column.dropna()
    return max(known.tolist(), key=abs, default=None)
