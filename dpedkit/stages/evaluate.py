"""Score the phone's own photos, fitted baselines, trained runs and pictures made elsewhere against the DSLR's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from dpedkit.db import ScoreRecord, SplitName, open_corpus, using_shards
from dpedkit.errors import ImageError, UsageError
from dpedkit.progress import Progress
from dpedkit.stages.held_out import HeldOutPhotos, find_held_out
from dpedkit.stages.methods import PHONE, Kind, Method, all_methods
from dpedkit.stages.published import Published, published
from dpedkit.stages.score_table import METRICS, Estimate, Scored, estimate
from dpedkit.train.bootstrap import FEWEST
from dpedkit.train.device import pick_device
from dpedkit.train.lpips import Lpips, load_lpips
from dpedkit.train.metrics import Closeness, compare
from dpedkit.workspace import Workspace

__all__ = ["METRICS", "EvaluateReport", "Protocol", "Score", "evaluate"]

Protocol = Literal["patches", "photos"]

PROTOCOLS: dict[Protocol, str] = {
    "patches": "each patch enhanced by itself, as in the DPED paper",
    "photos": "each photo enhanced whole, then scored where its patches lie",
}
PROTOCOL_LINE = "PSNR (dB), SSIM and MS-SSIM on RGB clipped to 0-255, per patch, averaged over all patches"


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the table.

    name             "phone" (its own photo), a fitted baseline, a run, or pictures made elsewhere
    photos           how many of the split's `of_photos` it was scored on; 0 where patches came without their photos
    psnr_authors     PSNR, dB, and MS-SSIM as DPED's code reports them: pooled over batches of 50 patches
    estimates        psnr, ssim, ms_ssim, and lpips where its weights were given, with their intervals
    over_phone       the same of its differences from the phone's own photo, on the same photos; {} for that itself
    over_baseline    ... from the best fitted baseline; {} for the phone's photo and for that itself
    over_run         ... from the run that was asked for, likewise; {} where none was
    by_photo         shot -> mean PSNR of its patches, dB
    note             "not for results" and the like
    published        what was published for the same method and phone, measured on other photos
    """

    name: str
    kind: Kind
    phone: str
    recipe: str
    psnr: float
    ssim: float
    ms_ssim: float
    photos: int
    of_photos: int
    patches: int
    psnr_authors: float
    ms_ssim_authors: float
    estimates: dict[str, Estimate]
    over_phone: dict[str, Estimate]
    over_baseline: dict[str, Estimate]
    over_run: dict[str, Estimate]
    by_photo: dict[str, float]
    note: str
    published: Published | None


@dataclass(slots=True)
class EvaluateReport:
    """The table, and under which protocol it was made.

    baseline   phone -> its best fitted baseline, by PSNR
    intervals  phone -> what its intervals are made of, or why there are none
    lpips      whose weights LPIPS had; "" where it was not measured
    problems   pictures made elsewhere that could not be scored, each with why
    """

    split: str
    protocol: Protocol
    scores: list[Score] = field(default_factory=list)
    baseline: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    lpips: str = ""

    @property
    def how(self) -> str:
        """The protocol in words."""
        lpips = f"; LPIPS 0.1 with AlexNet ({self.lpips}), of which less is closer" if self.lpips else ""
        return f"{PROTOCOL_LINE}{lpips}; {self.split} split, {PROTOCOLS[self.protocol]}"


def evaluate(
    workspace: Workspace,
    *,
    phones: Sequence[str],
    split: SplitName,
    protocol: Protocol,
    progress: Progress,
    runs: Sequence[str] = (),
    externals: Sequence[tuple[str, Path]] = (),
    device: str = "auto",
    against: str = "",
    lpips: tuple[Path, Path] | None = None,
) -> EvaluateReport:
    """Score every method on every phone's photos of one split, and record the scores.

    phones     those to score; empty: all that have patches
    runs       those to score, finished or not; empty: all that are finished
    externals  name and folder of pictures that were made elsewhere; see `methods.Elsewhere`
    against    one of the runs, which the other runs and pictures are compared with
    lpips      weight files of AlexNet and of LPIPS; see `load_lpips`

    Raises:
        WeightsError: LPIPS's weights are missing, truncated or foreign.
        CorpusError: there are no patches in this split, or no photos where whole ones are asked for.
        UsageError: pictures made elsewhere whose name is taken, or whose folder holds none of the photos.
    """
    report = EvaluateReport(split, protocol)
    looks = load_lpips(*lpips).to(pick_device(device)) if lpips else None
    report.lpips = looks.words if looks else ""
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        held_out, names = find_held_out(corpus, split, phones)
        for phone in names:
            photos = HeldOutPhotos(workspace, corpus, held_out, phone)
            methods = all_methods(
                workspace, corpus, phone, photos.paths, progress, runs=runs, externals=externals, device=device
            )
            scored = _score_all(methods, photos, phone, protocol, progress, report.problems, looks)
            _add_scores(report, scored, methods, phone, photos, against)
        for name, folder in externals:
            if all(score.name != name for score in report.scores):
                raise UsageError(
                    f"--external {name}={folder}: no picture of the {split} split's photos could be scored",
                    report.problems[0] if report.problems else "name each picture as the photo that it was made of",
                )
        corpus.store.add_scores([_row(score, split, protocol) for score in report.scores])
    return report


def _score_all(
    methods: Sequence[Method],
    photos: HeldOutPhotos,
    phone: str,
    protocol: Protocol,
    progress: Progress,
    problems: list[str],
    looks: Lpips | None,
) -> dict[str, dict[str, Closeness]]:
    """Return method -> shot -> how close its patches are; pixels of no more than one photo are held at a time."""
    scored: dict[str, dict[str, Closeness]] = {method.name: {} for method in methods}
    progress.start(f"evaluate {phone}", len(photos))
    for photo in photos:
        for method in methods:
            try:
                ours = photo.cut(method.whole(photo)) if protocol == "photos" else method.patches(photo)
            except ImageError as error:
                if method.kind != "external":
                    raise
                problems.append(error.cause)
            else:
                close = compare(ours, photo.dslr)
                scored[method.name][photo.shot] = (
                    replace(close, lpips=looks.measure(ours, photo.dslr)) if looks else close
                )
        progress.advance(note=photo.shot)
    progress.done(f"{len(methods)} methods on {len(photos)} photos")
    return scored


def _add_scores(
    report: EvaluateReport,
    scored: dict[str, dict[str, Closeness]],
    methods: Sequence[Method],
    phone: str,
    photos: HeldOutPhotos,
    against: str,
) -> None:
    """Turn what was measured for one phone into rows of the table."""
    table = Scored(scored, by_photo=photos.has_photos)
    best = max((m.name for m in methods if m.kind == "baseline"), key=table.mean_psnr)
    report.baseline[phone] = best
    report.intervals[phone] = _why(len(photos), by_photo=photos.has_photos)
    for method in methods:
        mine = scored[method.name]
        if not mine:
            continue
        others = _others(method, best, against)
        made = estimate(table, method.name, list(others.values()))
        over = dict(zip(others, made.over, strict=True))
        psnr_authors, ms_ssim_authors = table.as_the_authors_report(method.name)
        missing = len(mine) < len(photos)
        note = f"{len(mine)} of {len(photos)} photos; {method.note}" if missing else method.note
        report.scores.append(
            Score(
                name=method.name,
                kind=method.kind,
                phone=phone,
                recipe=method.recipe,
                **{metric: made.own[metric].value for metric in METRICS},
                photos=len(mine) if photos.has_photos else 0,
                of_photos=len(photos) if photos.has_photos else 0,
                patches=sum(len(close.squared_error) for close in mine.values()),
                psnr_authors=psnr_authors,
                ms_ssim_authors=ms_ssim_authors,
                estimates=made.own,
                over_phone=over.get("phone", {}),
                over_baseline=over.get("baseline", {}),
                over_run=over.get("run", {}),
                by_photo={shot: float(close.psnr.mean()) for shot, close in mine.items()},
                note=note,
                published=published(
                    phone, recipe=method.recipe, external=method.name if method.kind == "external" else ""
                ),
            )
        )


def _others(method: Method, baseline: str, run: str) -> dict[str, str]:
    """Return what a method is compared with: the part that the other plays, and its name."""
    others = {"phone": PHONE, "baseline": baseline, "run": run}
    if method.kind == "phone":
        return {}
    if method.kind == "baseline":
        del others["run"]
    return {part: name for part, name in others.items() if name not in ("", method.name)}


def _why(photos: int, *, by_photo: bool) -> str:
    """Say what the intervals are made of, or why there are none."""
    if not by_photo:
        return "95% intervals, resampled by patch, since it is not known which are of one photo: they are too narrow"
    if photos < FEWEST:
        return f"no intervals: {photos} photo{'s' * (photos > 1)}, and fewer than {FEWEST} say too little of others"
    return f"95% intervals: 10,000 bootstrap resamples of {photos} photos, each with all its patches"


def _row(score: Score, split: SplitName, protocol: Protocol) -> ScoreRecord:
    return ScoreRecord(
        score.name, score.phone, split, protocol, score.psnr, score.ssim, score.ms_ssim, score.photos, score.patches
    )
