"""The demo's page: what its report shows, gathered from the workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dpedkit.db import Corpus, open_corpus
from dpedkit.images import read_rgb
from dpedkit.stages.charts import Series, histogram, line_chart
from dpedkit.stages.evaluate import EvaluateReport
from dpedkit.stages.frames import rows
from dpedkit.stages.held_out import dslr_on_phone
from dpedkit.stages.rehearsal import AlignmentError
from dpedkit.stages.report import Chart, Picture, Report, ScoreRow, Verdict, make_picture, write_report
from dpedkit.train.runlog import read_log
from dpedkit.workspace import Workspace

if TYPE_CHECKING:
    from dpedkit.stages.demo import DemoResult

_PICTURES_PER_PHONE = 2
_OUTSIDE = 235  # the gray of what the DSLR's photo does not show


def write_demo_report(
    workspace: Workspace,
    result: DemoResult,
    scores: EvaluateReport,
    errors: Sequence[AlignmentError],
    runs: Mapping[str, str],
    enhanced: Mapping[str, Mapping[str, Path]],
    made: Sequence[tuple[str, str]],
) -> None:
    """Write the workspace's report.html.

    runs      phone -> run
    enhanced  phone -> shot -> enhanced photo
    """
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        counts = corpus.counts()
        report = Report(
            title="dpedkit demo",
            summary=(
                "One simulated DSLR and three simulated phones photographed the same scenes together. Their photos "
                "were aligned and cut into matched patches, and a small network per phone learned to turn the phone's "
                "photos into the DSLR's."
            ),
            stamps=sorted({score.note for score in scores.scores if score.kind == "run" and score.note}),
            facts=[
                ("shots", str(counts.shots)),
                ("aligned pairs", str(counts.pairs.get("aligned", 0))),
                ("patches", f"{counts.kept_patches:,}"),
                ("alignment error, median", f"{result.alignment_median_px:.3f} px"),
                ("alignment error, p95", f"{result.alignment_p95_px:.3f} px"),
                ("time", f"{result.seconds:.0f} s"),
            ],
            scores=_score_rows(scores),
            protocol=scores.how,
            verdicts=[
                Verdict(f"{phone.phone}: enhanced photos {phone.gain_db:+.2f} dB over its own", phone.passed)
                for phone in result.phones
            ],
            pictures=_pictures(workspace, corpus, enhanced),
            charts=_charts(workspace, corpus, errors, runs),
            made=made,
        )
    write_report(Path(result.report), report)


def _score_rows(scores: EvaluateReport) -> list[ScoreRow]:
    own = {score.phone: score.psnr for score in scores.scores if score.kind == "phone"}
    return [
        ScoreRow(
            phone=score.phone,
            name=score.name,
            psnr=score.psnr,
            ssim=score.ssim,
            ms_ssim=score.ms_ssim,
            photos=score.photos,
            patches=score.patches,
            gain=None if score.kind == "phone" else score.psnr - own[score.phone],
            ours=score.kind == "run",
            note=score.note,
        )
        for score in scores.scores
    ]


def _pictures(workspace: Workspace, corpus: Corpus, enhanced: Mapping[str, Mapping[str, Path]]) -> list[Picture]:
    pairs = corpus.pairs()
    pictures = []
    for phone, results in enhanced.items():
        mine = pairs[(pairs["phone"] == phone) & (pairs["status"] == "aligned") & pairs["shot"].isin(list(results))]
        for pair in rows(mine.head(_PICTURES_PER_PHONE)):
            own = read_rgb(workspace.root / pair.phone_path)
            dslr, covered = dslr_on_phone(workspace, corpus, pair, own.shape)
            dslr[~covered] = _OUTSIDE
            views = {phone: own, "enhanced": read_rgb(results[pair.shot]), "DSLR": dslr}
            pictures.append(make_picture(f"{phone}, shot {pair.shot}", views))
    return pictures


def _charts(
    workspace: Workspace, corpus: Corpus, errors: Sequence[AlignmentError], runs: Mapping[str, str]
) -> list[Chart]:
    logs = {phone: read_log(workspace.runs / run / "log.jsonl") for phone, run in runs.items()}
    losses: Series = {phone: _series(log, "total") for phone, log in logs.items()}
    psnr: Series = {phone: _series(log, "psnr_db") for phone, log in logs.items()}
    shots, pairs = corpus.shots(), corpus.pairs()
    skew = (shots["skew_ns"].dropna() / 1e6).tolist()
    residuals = {phone: pairs[pairs["phone"] == phone]["residual_px"].dropna().tolist() for phone in runs}
    truth = {phone: [float(np.median(error.distance_px)) for error in errors if error.phone == phone] for phone in runs}
    return [
        Chart("Training loss", line_chart(losses, x="iteration", y="generator loss", log=True)),
        Chart("Validation PSNR of patches", line_chart(psnr, x="iteration", y="dB")),
        Chart("Shutter skew of the shots, as measured", histogram({"shots": skew}, x="ms", y="shots")),
        Chart("Alignment residual, as the aligner sees it", histogram(residuals, x="px", y="pairs")),
        Chart("Alignment error against the simulator's truth", histogram(truth, x="median, px", y="pairs")),
    ]


def _series(log: Sequence[Mapping[str, float]], key: str) -> tuple[list[float], list[float]]:
    found = [(record["step"], record[key]) for record in log if key in record]
    return [step for step, _ in found], [value for _, value in found]
