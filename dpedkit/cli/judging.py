"""dpedkit evaluate, artefacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, cli, marked, pass_app, table
from dpedkit.cli.options import device_option

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dpedkit.db import SplitName
    from dpedkit.stages.artefacts import MethodArtefacts
    from dpedkit.stages.evaluate import EvaluateReport, Protocol, Score
    from dpedkit.stages.methods import Kind
    from dpedkit.stages.score_table import Estimate

_ARTEFACTS = {
    "colour_dslr": "colour/DSLR",
    "colour_phone": "colour/phone",
    "contrast_dslr": "contrast/DSLR",
    "contrast_phone": "contrast/phone",
    "noise_gain": "noise",
}
_DIGITS = {"psnr": 2, "ssim": 4, "ms_ssim": 4, "lpips": 3}
_TITLES = {"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "lpips": "LPIPS"}

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

phones_option = click.option("--phone", "phones", multiple=True, help="Only this phone; may be given again.")
split_option = click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Which shots to judge on; no network has learnt from those of test.",
)
protocol_option = click.option(
    "--protocol",
    type=click.Choice(["patches", "photos"]),
    default="patches",
    show_default=True,
    help="Enhance each patch by itself (as in the paper), or whole photos.",
)
externals_option = click.option(
    "--external",
    "externals",
    multiple=True,
    metavar="NAME=DIR",
    callback=lambda _context, _option, values: [_external(value) for value in values],
    help="Also judge the pictures in a folder, each named as the phone's photo that it was made of.",
)
runs_option = click.option(
    "--run", "runs", multiple=True, help="Only this run, finished or not, or imported model; may be given again."
)


@cli.command()
@phones_option
@split_option
@protocol_option
@runs_option
@externals_option
@device_option
@click.option(
    "--lpips",
    type=(_FILE, _FILE),
    default=None,
    metavar="ALEXNET LINEAR",
    help="Measure LPIPS, too: torchvision's alexnet-owt-7be5be79.pth, and alex.pth of the lpips package.",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all of it there too.")
@pass_app
def evaluate(
    app: App,
    phones: tuple[str, ...],
    split: SplitName,
    protocol: Protocol,
    runs: tuple[str, ...],
    externals: list[tuple[str, Path]],
    device: str,
    lpips: tuple[Path, Path] | None,
    csv_file: Path | None,
) -> int:
    """Score phones' own photos, two colour baselines, finished runs and pictures made elsewhere.

    \b
    dpedkit evaluate
    dpedkit evaluate --phone sony --protocol photos --csv scores.csv
    dpedkit evaluate --phone iphone --external APE=enhanced-by-apple/
    dpedkit evaluate --lpips alexnet-owt-7be5be79.pth alex.pth
    """
    from dpedkit.stages.evaluate import evaluate as score

    report = score(
        app.workspace,
        phones=phones,
        split=split,
        protocol=protocol,
        progress=app.progress(),
        runs=runs,
        externals=externals,
        device=device,
        lpips=lpips,
    )
    if csv_file is not None:
        _write_csv(csv_file, report)
    app.show(report, *_lines(report))
    return PARTLY_DONE if report.problems else 0


@cli.command()
@phones_option
@split_option
@runs_option
@externals_option
@device_option
@click.option(
    "--photos",
    "at_most",
    type=click.IntRange(0),
    default=0,
    help="At most so many of each phone, evenly spaced; 0: all.",
)
@pass_app
def artefacts(
    app: App,
    phones: tuple[str, ...],
    split: SplitName,
    runs: tuple[str, ...],
    externals: list[tuple[str, Path]],
    device: str,
    at_most: int,
) -> int:
    """Measure what enhancers spoil: false colours, too much contrast, noise made stronger.

    \b
    dpedkit artefacts --phone sony
    dpedkit artefacts --phone sony --run sony-dped --photos 5 --json
    """
    from dpedkit.stages.artefacts import find_artefacts

    report = find_artefacts(
        app.workspace,
        phones=phones,
        split=split,
        progress=app.progress(),
        runs=runs,
        externals=externals,
        device=device,
        at_most=at_most,
    )
    lines: list[RenderableType] = []
    for phone, (looked_at, of) in report.photos.items():
        mine = [each for each in report.methods if each.phone == phone]
        lines += [f"{phone}: {looked_at} of {of} photos", _artefact_table(mine), "", _worst_table(mine)]
        lines += [*_notes([(each.method, each.kind, each.note) for each in mine]), ""]
    lines += [marked("left out", "yellow", problem) for problem in report.problems]
    app.show(report, *lines, report.how)
    return PARTLY_DONE if report.problems else 0


def _artefact_table(methods: list[MethodArtefacts]) -> RenderableType:
    shown = table("method", *_ARTEFACTS.values())
    for each in methods:
        shown.add_row(
            each.method, *(_with_half(each.means[name], ".2f") if name in each.means else "" for name in _ARTEFACTS)
        )
    return shown


def _worst_table(methods: list[MethodArtefacts]) -> RenderableType:
    shown = table("method", "worst", "", "photo", "at px")
    for each in methods:
        for kind, worst in each.worst.items() if each.kind in ("run", "external") else ():
            place = "" if worst.at is None else "{}, {}".format(*worst.at)
            shown.add_row(each.method, kind, f"{worst.value:.2f}", worst.shot, place)
    return shown


def _lines(report: EvaluateReport) -> list[RenderableType]:
    """Return the paper's table if there is more than one phone, a closer one of each, and how they were made."""
    from dpedkit.stages.published import NOTE

    lines: list[RenderableType] = []
    phones = list(report.baseline)
    if len(phones) > 1:
        lines += [_posters_table(report, phones), ""]
    for phone in phones:
        mine = [score for score in report.scores if score.phone == phone]
        photos = f"{mine[0].of_photos} photos, " if mine[0].of_photos else ""
        lines += [f"{phone}: {photos}{mine[0].patches} patches", _phones_table(mine)]
        lines += _notes([(score.name, score.kind, score.note) for score in mine])
        lines += [f"baseline: {report.baseline[phone]}. {report.intervals[phone]}", ""]
    lines += [marked("left out", "yellow", problem) for problem in report.problems]
    if any(score.published for score in report.scores):
        lines += [NOTE]
    return [*lines, report.how]


def _notes(methods: list[tuple[str, Kind, str]]) -> list[str]:
    """Return a line for each run, and for pictures made elsewhere, of which something must be said."""
    return [f"{name}: {note}" for name, kind, note in methods if kind in ("run", "external") and note]


def _posters_table(report: EvaluateReport, phones: list[str]) -> RenderableType:
    """Return methods down, and PSNR, SSIM and MS-SSIM of every phone across, as the paper has it."""
    shown = table("", *(header for phone in phones for header in (phone, "", "")))
    shown.add_row("method", *["PSNR", "SSIM", "MS-SSIM"] * len(phones))
    by_method: dict[str, dict[str, Score]] = {}
    for score in report.scores:
        by_method.setdefault(score.name.removeprefix(f"{score.phone}-"), {})[score.phone] = score
    for method, scores in by_method.items():
        cells = [_numbers(scores[phone]) if phone in scores else ["", "", ""] for phone in phones]
        shown.add_row(method, *(cell for three in cells for cell in three))
    return shown


def _phones_table(scores: list[Score]) -> RenderableType:
    """Return the table of one phone: means with half their intervals, and differences on the same photos."""
    metrics = list(scores[0].estimates)
    shown = table("method", *(_TITLES[metric] for metric in metrics), "over phone", "over baseline")
    for score in scores:
        own = [_with_half(score.estimates[metric], f".{_DIGITS[metric]}f") for metric in metrics]
        gains = [_with_half(gain["psnr"], "+.2f") if gain else "" for gain in (score.over_phone, score.over_baseline)]
        shown.add_row(score.name, *own, *gains)
        if score.published:
            figures = f"{score.published.psnr:.2f}", "", f"{score.published.ms_ssim:.4f}"
            shown.add_row(f"  {score.published.method}, published", *figures, style="dim")  # the paper has no LPIPS
    return shown


def _numbers(score: Score) -> list[str]:
    return [f"{score.psnr:.2f}", f"{score.ssim:.4f}", f"{score.ms_ssim:.4f}"]


def _with_half(estimate: Estimate, form: str) -> str:
    half = "" if estimate.half is None else f" ±{format(estimate.half, form.removeprefix('+'))}"
    return f"{format(estimate.value, form)}{half}"


def _external(value: str) -> tuple[str, Path]:
    name, equals, folder = value.partition("=")
    if not (name and equals and folder):
        raise click.BadParameter(f"{value!r} is not NAME=DIR", param_hint="--external")
    return name, Path(folder)


def _write_csv(path: Path, report: EvaluateReport) -> None:
    """Write a row per phone and method: means, intervals, differences, and what was published."""
    import csv
    import io

    from dpedkit.files import write_atomic

    records = [_record(score, report) for score in report.scores]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    write_atomic(path, text.getvalue().encode())


def _record(score: Score, report: EvaluateReport) -> dict[str, object]:
    record: dict[str, object] = {"phone": score.phone, "method": score.name, "kind": score.kind, "recipe": score.recipe}
    record |= {"split": report.split, "protocol": report.protocol}
    metrics = list(score.estimates)
    for metric in metrics:
        record |= _spread(metric, score.estimates.get(metric))
    record |= {"psnr_authors": score.psnr_authors, "ms_ssim_authors": score.ms_ssim_authors}
    for metric in metrics:
        record |= _spread(f"{metric}_over_phone", score.over_phone.get(metric))
    for metric in metrics:
        record |= _spread(f"{metric}_over_baseline", score.over_baseline.get(metric))
    record |= {"baseline": report.baseline[score.phone]}
    record |= {"photos": score.photos, "of_photos": score.of_photos, "patches": score.patches}
    printed = score.published
    record |= {"published": printed and printed.method, "published_psnr": printed and printed.psnr}
    return record | {"published_ms_ssim": printed and printed.ms_ssim, "note": score.note}


def _spread(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
