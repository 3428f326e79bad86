"""Score the phone's own photos, fitted colour baselines and trained runs against the DSLR's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dpedkit.db import Corpus, ScoreRecord, SplitName, open_corpus, open_shard, using_shards
from dpedkit.errors import CorpusError
from dpedkit.images import read_rgb
from dpedkit.progress import Progress
from dpedkit.stages.frames import rows
from dpedkit.train import enhance, load_generator
from dpedkit.train.baselines import fit_gain_offset, fit_matrix_curve
from dpedkit.train.metrics import ms_ssim_per_image, psnr, ssim
from dpedkit.types import F64, U8
from dpedkit.workspace import Workspace

Protocol = Literal["patches", "photos"]
Kind = Literal["phone", "baseline", "run"]

PROTOCOLS: dict[Protocol, str] = {
    "patches": "each patch enhanced by itself, as in the DPED paper",
    "photos": "each photo enhanced whole, then scored where its patches lie",
}
PROTOCOL_LINE = "PSNR (dB), SSIM and MS-SSIM on RGB clipped to 0-255, per patch, averaged over all patches"


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the table.

    name      "phone" (its own photo), a fitted baseline, or a run
    by_photo  shot -> mean PSNR of its patches, dB
    note      "not for results" and the like
    """

    name: str
    kind: Kind
    phone: str
    psnr: float
    ssim: float
    ms_ssim: float
    photos: int
    patches: int
    by_photo: dict[str, float]
    note: str


@dataclass(slots=True)
class EvaluateReport:
    """The table, and under which protocol it was made."""

    split: str
    protocol: Protocol
    scores: list[Score] = field(default_factory=list)

    @property
    def how(self) -> str:
        """The protocol in words."""
        return f"{PROTOCOL_LINE}; {self.split} split, {PROTOCOLS[self.protocol]}"


@dataclass(frozen=True)
class _Method:
    """Something that makes a better photo out of a photo; `apply` takes and returns uint8 [H, W, 3] of any size."""

    name: str
    kind: Kind
    apply: Callable[[U8], U8]
    note: str


@dataclass(frozen=True)
class _TestPhoto:
    """One held-out photo: its pixels, and its kept patches with the DSLR's at the same places."""

    shot: str
    rgb: U8
    xy: Sequence[tuple[int, int]]
    size: int
    dslr: U8


def evaluate(
    workspace: Workspace, *, phones: Sequence[str], split: SplitName, protocol: Protocol, progress: Progress
) -> EvaluateReport:
    """Score every method on every phone's photos of one split, and record the scores.

    phones  those to score; empty: all that have patches

    Raises:
        CorpusError: there are no patches in this split.
    """
    report = EvaluateReport(split, protocol)
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        patches = corpus.patches()
        held_out = patches[patches["keep"] & (patches["split"] == split)]
        names = sorted(set(held_out["phone"]))
        if missing := sorted(set(phones) - set(names)):
            raise CorpusError(
                f"no patches of {', '.join(missing)} in the {split} split",
                f"phones with patches: {', '.join(names) or 'none'}",
            )
        if not names:
            raise CorpusError(f"no patches in the {split} split", "cut some first: `dpedkit build-patches`")
        for phone in phones or names:
            photos = list(_test_photos(workspace, corpus, held_out[held_out["phone"] == phone], phone))
            methods = list(_methods(workspace, corpus, phone, progress))
            progress.start(f"evaluate {phone}", len(methods))
            for method in methods:
                report.scores.append(_score(method, phone, photos, protocol))
                progress.advance(note=method.name)
            progress.done(f"{len(methods)} methods on {len(photos)} photos")
        corpus.store.add_scores([_row(score, split, protocol) for score in report.scores])
    return report


def _methods(workspace: Workspace, corpus: Corpus, phone: str, progress: Progress) -> Iterator[_Method]:
    yield _Method("phone", "phone", lambda rgb: rgb, "its own photo")
    training = corpus.pair_source(phone, "train")
    for fit in (fit_gain_offset, fit_matrix_curve):
        baseline = fit(training)
        yield _Method(baseline.name, "baseline", baseline, "fitted on the training split")
    runs = corpus.runs()
    for run in rows(runs[(runs["phone"] == phone) & (runs["status"] == "done")]):
        if not (workspace.runs / run.run).is_dir():  # runs are large, and people make room
            progress.say(f"run {run.run}: its folder is gone, so it is left out")
            continue
        generator = load_generator(workspace.runs / run.run)
        yield _Method(run.run, "run", partial(enhance, generator), run.config["stamp"])


def _test_photos(workspace: Workspace, corpus: Corpus, patches: pd.DataFrame, phone: str) -> Iterator[_TestPhoto]:
    photos = corpus.photos()
    paths = photos[(photos["device"] == phone) & photos["picture"]].set_index("shot")["path"]
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    for shot, mine in patches.groupby("shot"):
        dslr = np.concatenate(
            [
                open_shard(corpus.shard_folder, str(shard))[rows["row"].to_numpy(), 1]
                for shard, rows in mine.groupby("shard")
            ]
        )
        in_order = pd.concat([rows for _, rows in mine.groupby("shard")])
        xy = list(zip(in_order["x"].tolist(), in_order["y"].tolist(), strict=True))
        rgb = read_rgb(workspace.root / Path(paths[shot]), limit_px=limit_px)
        yield _TestPhoto(str(shot), rgb, xy, int(in_order["size"].iloc[0]), dslr)


def _score(method: _Method, phone: str, photos: Sequence[_TestPhoto], protocol: Protocol) -> Score:
    values = {photo.shot: _measure(_apply(method, photo, protocol), photo.dslr) for photo in photos}
    mean_psnr, mean_ssim, mean_ms_ssim = np.concatenate(list(values.values())).mean(axis=0).tolist()
    return Score(
        name=method.name,
        kind=method.kind,
        phone=phone,
        psnr=mean_psnr,
        ssim=mean_ssim,
        ms_ssim=mean_ms_ssim,
        photos=len(photos),
        patches=sum(len(measured) for measured in values.values()),
        by_photo={shot: float(measured[:, 0].mean()) for shot, measured in values.items()},
        note=method.note,
    )


def _apply(method: _Method, photo: _TestPhoto, protocol: Protocol) -> U8:
    """Return the method's version of a photo's patches [N, S, S, 3]."""
    if protocol == "photos":
        return _cut(method.apply(photo.rgb), photo)
    return np.stack([method.apply(patch) for patch in _cut(photo.rgb, photo)])


def _cut(rgb: U8, photo: _TestPhoto) -> U8:
    return np.stack([rgb[y : y + photo.size, x : x + photo.size] for x, y in photo.xy])


def _measure(ours: U8, dslr: U8) -> F64:
    """Return [N, 3]: PSNR, SSIM and MS-SSIM of each patch."""
    pairs = list(zip(ours, dslr, strict=True))
    return np.column_stack(
        [[psnr(a, b) for a, b in pairs], [ssim(a, b) for a, b in pairs], ms_ssim_per_image(ours, dslr)]
    )


def _row(score: Score, split: SplitName, protocol: Protocol) -> ScoreRecord:
    return ScoreRecord(
        score.name, score.phone, split, protocol, score.psnr, score.ssim, score.ms_ssim, score.photos, score.patches
    )
