"""`dpedkit report`: one page on a run, or one that compares several; it needs no other file and no network."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dpedkit.db import SplitName, open_corpus
from dpedkit.files import storage_error, write_atomic
from dpedkit.images import read_rgb
from dpedkit.progress import Progress
from dpedkit.stages.artefacts import KINDS, ArtefactReport, MethodArtefacts, find_artefacts
from dpedkit.stages.evaluate import EvaluateReport, Protocol, Score, evaluate
from dpedkit.stages.published import NOTE
from dpedkit.stages.report import Chart, data_uri
from dpedkit.stages.run_drawing import GainRow, draw_gains
from dpedkit.stages.run_facts import RunFacts, curves, find_runs, settings
from dpedkit.stages.run_pictures import Gallery
from dpedkit.stages.templates import render, resource
from dpedkit.workspace import Workspace

SIDE_BY_SIDE = 4
_PICTURES = 3  # of validation patches
_LEGENDS = {
    "colour": "CIEDE2000 from the DSLR's photo, blurred: white 0, yellow 3, orange 8, dark red 16",
    "contrast": "Contrast over the DSLR's: blue half, white equal, red twice",
    "noise": "The enhanced photo's fine structure, six times as strong",
}


@dataclass(frozen=True, slots=True)
class RunReport:
    """The page, and the numbers on it."""

    page: Path
    runs: Sequence[str]
    scores: EvaluateReport
    artefacts: ArtefactReport


def write_run_report(
    workspace: Workspace,
    names: Sequence[str],
    *,
    split: SplitName,
    protocol: Protocol,
    photos: int,
    externals: Sequence[tuple[str, Path]],
    device: str,
    progress: Progress,
) -> RunReport:
    """Judge runs of one phone on held-out photos and write the page: RUN/report.html, or reports/compare-....html.

    photos  whole photos that are enhanced for pictures and artefacts, evenly spaced; 0: all

    Raises:
        UsageError: no such run, or runs of several phones; and as `evaluate` does.
        StorageError: the disk is full, or the folder cannot be written.
    """
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        runs = find_runs(workspace, corpus, names)
    phone, named = runs[0].phone, [run.name for run in runs]
    scores = evaluate(
        workspace,
        phones=[phone],
        split=split,
        protocol=protocol,
        runs=named,
        externals=externals,
        device=device,
        progress=progress,
        against=named[0] if len(named) > 1 else "",
    )
    of = max(score.of_photos for score in scores.scores)
    shown = [*named, *(name for name, _ in externals)]
    gallery = Gallery(shown, every=max(-(-min(photos or of, of) // SIDE_BY_SIDE), 1))
    artefacts = ArtefactReport(split)
    if of:  # there are photos, not patches alone
        artefacts = find_artefacts(
            workspace,
            phones=[phone],
            split=split,
            runs=named,
            externals=externals,
            device=device,
            progress=progress,
            at_most=photos,
            show=gallery.look,
        )
    again = ["dpedkit", "report", *named, "--split", split, "--protocol", protocol, "--photos", str(photos)]
    again += [word for name, folder in externals for word in ("--external", f"{name}={folder}")]
    page = render("run_report.html", _fields(runs, scores, artefacts, gallery, shlex.join(again)))
    target = _page(workspace, named)
    try:
        target.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error(error, target.parent) from error
    write_atomic(target, page.encode())
    return RunReport(target, named, scores, artefacts)


def _page(workspace: Workspace, names: Sequence[str]) -> Path:
    if len(names) == 1:
        return workspace.runs / names[0] / "report.html"
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", "-".join(names))
    if len(readable) > 80:
        readable = f"{readable[:80]}-{hashlib.sha256(readable.encode()).hexdigest()[:8]}"
    return workspace.reports / f"compare-{readable}.html"


def _fields(
    runs: Sequence[RunFacts], scores: EvaluateReport, artefacts: ArtefactReport, gallery: Gallery, again: str
) -> Mapping[str, object]:
    """Return all that the template shows."""
    phone = runs[0].phone
    own = next(score for score in scores.scores if score.kind == "phone")
    pictures = gallery.pictures()
    return {
        "css": resource("run_report.css"),
        "title": " against ".join(run.name for run in runs),
        "phone": phone,
        "runs": runs,
        "summaries": {run.name: run.config["recipe"]["summary"] for run in runs},
        "stamps": [f"{run.name}: {run.stamp}" for run in runs if run.stamp],
        "unfinished": [f"{run.name} is {run.status}: {run.steps} steps so far" for run in runs if run.status != "done"],
        "split": scores.split,
        "verdicts": [
            _verdict(score, scores.baseline[phone], runs[0].name) for score in scores.scores if score.kind == "run"
        ],
        "scores": scores.scores,
        "baseline": scores.baseline[phone],
        "how": f"{scores.how}. {scores.intervals[phone]}",
        "published": NOTE if any(score.published for score in scores.scores) else "",
        "gains": draw_gains(_gains(scores.scores, own)),
        "by_photo": _by_photo(scores.scores),
        "problems": [*scores.problems, *(each for each in artefacts.problems if each not in scores.problems)],
        "pictures": pictures,
        "columns": len(pictures[0].whole) if pictures else 3,
        "artefacts": artefacts,
        "artefact_rows": [_artefact_row(each) for each in artefacts.methods],
        "photos": artefacts.photos.get(phone),
        "judged_on": f"{own.of_photos} photos" if own.of_photos else f"{own.patches} patches",
        "worst": gallery.worst(),
        "legends": _LEGENDS,
        "kinds": KINDS,
        "charts": [Chart(each.caption, each.draw()) for each in curves(runs)],
        "validation": {run.name: _validation_pictures(run) for run in runs if run.pictures},
        "settings": settings(runs),
        "again": again,
        "made_by": version("dpedkit"),
    }


def _verdict(score: Score, baseline: str, first: str) -> str:
    """Say in a sentence what a run is worth."""
    sentences = []
    compared = [(score.over_phone, "the phone's own photo"), (score.over_baseline, f"“{baseline}”")]
    compared += [(score.over_run, first)] if score.over_run else []
    for gains, other in compared:
        gain = gains["psnr"]
        if gain.low is None or gain.high is None:
            sentences.append(f"{gain.value:+.2f} dB from {other} (no interval)")
            continue
        where = "above" if gain.low > 0 else "below" if gain.high < 0 else "not told apart from"
        sentences.append(f"{where} {other}: {gain.value:+.2f} dB [{gain.low:+.2f}, {gain.high:+.2f}]")
    return f"{score.name} is {'; '.join(sentences)}"


def _gains(scores: Sequence[Score], own: Score) -> list[GainRow]:
    return [
        GainRow(
            name=score.name,
            ours=score.kind in ("run", "external"),
            value=score.over_phone["psnr"].value,
            low=score.over_phone["psnr"].low,
            high=score.over_phone["psnr"].high,
            photos=[psnr - own.by_photo[shot] for shot, psnr in score.by_photo.items()] if own.of_photos else [],
        )
        for score in scores
        if score.over_phone
    ]


def _by_photo(scores: Sequence[Score]) -> list[tuple[str, list[float | None]]]:
    """Return the PSNR of every method on each photo, hardest photo first; none where photos are not known."""
    own = scores[0].by_photo if scores[0].of_photos else {}
    return [(shot, [score.by_photo.get(shot) for score in scores]) for shot in sorted(own, key=lambda shot: own[shot])]


def _artefact_row(each: MethodArtefacts) -> dict[str, object]:
    return {"name": each.method, "ours": each.kind in ("run", "external"), "means": each.means}


def _validation_pictures(run: RunFacts) -> list[tuple[str, str]]:
    """Return some of a run's pictures, first to last, each with its step and PSNR."""
    psnr = dict(zip(*run.validation(), strict=True))
    last = len(run.pictures) - 1
    chosen = dict.fromkeys(round(last * index / (_PICTURES - 1)) for index in range(_PICTURES))
    shown = []
    for path in (run.pictures[index] for index in chosen):
        step = int(path.stem)
        found = psnr.get(float(step))
        told = f"step {step}" if found is None else f"step {step}: {found:.2f} dB"
        shown.append((told, data_uri(read_rgb(path))))
    return shown
