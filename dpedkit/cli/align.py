"""dpedkit align."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, Command, cli, from_here, marked, pass_app, table
from dpedkit.cli.options import chosen_workers, dry_run_option, workers_options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dpedkit.align import Mode
    from dpedkit.executor import Workers


@cli.command(cls=Command)
@click.option(
    "--mode",
    type=click.Choice(["field", "paper"]),
    help="field: sub-pixel, with lenses and parallax; paper: one homography, as published with DPED. "
    "Left out: as dpedkit.toml says.",
)
@click.option("--compare-modes", is_flag=True, help="Try both modes on the same photos and show what each would keep.")
@click.option("--report", is_flag=True, help="Then write an HTML page for each pair, and an index of all.")
@click.option("--limit", type=click.IntRange(1), help="With --compare-modes: at most so many pairs.")
@workers_options
@dry_run_option
@pass_app
def align(
    app: App,
    mode: Mode | None,
    compare_modes: bool,
    report: bool,
    limit: int | None,
    jobs: int | None,
    cluster: str | None,
    dry_run: bool,
) -> int:
    """Align every phone photo to the DSLR photo of its shot; only what is missing is done.

    A pair that cannot be aligned is refused with a reason. When all pairs of a session have been tried, its lenses
    are learnt from them, and all are fitted again.

    \b
    dpedkit align                                what is new
    dpedkit align --mode paper                   one homography, as published
    dpedkit align --report                       and pages to look at every pair, refused ones too
    dpedkit align --compare-modes --limit 20     both on 20 pairs; nothing is stored
    dpedkit align --cluster tcp://head:8786      on the workers of a Dask scheduler
    """
    workers = chosen_workers(app.workspace.settings, jobs, cluster)
    if limit is not None and not compare_modes:
        raise click.UsageError("--limit goes with --compare-modes")
    if report and compare_modes:
        raise click.UsageError("--compare-modes stores nothing that --report could show")
    if compare_modes:
        return _compare(app, workers, limit)
    return _align(app, workers, mode, dry_run, with_pages=report and not dry_run)


def _align(app: App, workers: Workers, mode: Mode | None, dry_run: bool, *, with_pages: bool) -> int:
    from dpedkit.stages.align import align_pairs
    from dpedkit.stages.align_report import write_align_report

    report = align_pairs(app.workspace, workers=workers, mode=mode, dry_run=dry_run, progress=app.progress())
    found = table("pair", "", "residual", "")
    for result in report.results:
        residual = "" if result.residual_px is None else f"{result.residual_px:.3f} px"
        color = {"aligned": "green", "to do": "white"}.get(result.status, "red")
        found.add_row(result.pair, marked(result.status, color), residual, result.detail)
    aligned, rejected, failed = (report.with_status(word) for word in ("aligned", "rejected", "failed"))
    summary = (
        f"{len(aligned)} aligned, {len(rejected)} rejected, {len(failed)} failed, {report.done_before} done before"
    )
    lenses = [
        f"lenses of {learnt.phone} and {learnt.dslr} learnt from {learnt.pairs} pairs of {learnt.session}, used for all"
        for learnt in report.lenses
    ]
    pages = write_align_report(app.workspace, workers=workers, progress=app.progress()) if with_pages else None
    parts: list[RenderableType] = [*([found] if report.results else []), *lenses, summary]
    if pages is None:
        app.show(report, *parts)
    else:
        parts += [marked("no page", "red", f"{pair}: {why}") for pair, why in pages.failures.items()]
        index = from_here(pages.index)
        app.show({**asdict(report), "report": index, "pages": pages}, *parts, f"report: {index}")
    if not dry_run and not aligned and not report.done_before:
        return 1
    return PARTLY_DONE if failed or (pages and pages.failures) else 0


def _compare(app: App, workers: Workers, limit: int | None) -> int:
    from dpedkit.stages.compare import compare_modes

    report = compare_modes(app.workspace, workers=workers, limit=limit, progress=app.progress())
    found = table("phone", "mode", "aligned", "refused", "kept", "apart", "p95", "> 0.5 px", "NCC", "CPU a pair")
    for row in report.rows:
        found.add_row(
            row.phone,
            row.mode,
            str(row.aligned),
            str(row.refused),
            f"{row.kept} of {row.patches}",
            _shown(row.off_px, "{:.2f} px"),
            _shown(row.off_p95_px, "{:.2f} px"),
            _shown(row.misplaced, "{:.1%}"),
            _shown(row.ncc, "{:.3f}"),
            f"{row.cpu_s:.1f} s",
        )
    app.show(
        report,
        found,
        "kept: by each mode's own gates; apart: how far kept patches of phone and DSLR lie from each other, median,",
        "by phase correlation, which neither mode uses to place them",
        *(marked("failed", "red", f"{pair}: {why}") for pair, why in report.failures.items()),
    )
    return PARTLY_DONE if report.failures else 0


def _shown(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)
