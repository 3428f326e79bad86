"""dpedkit align."""

from __future__ import annotations

from dpedkit.cli.app import PARTLY_DONE, App, cli, marked, pass_app, table
from dpedkit.cli.options import dry_run_option, jobs_option


@cli.command()
@jobs_option
@dry_run_option
@pass_app
def align(app: App, jobs: int, dry_run: bool) -> int:
    """Align every phone photo to the DSLR photo of its shot; only what is missing is done."""
    from dpedkit.executor import Workers
    from dpedkit.stages.align import align_pairs

    report = align_pairs(
        app.workspace, workers=Workers(jobs or app.workspace.settings.jobs), dry_run=dry_run, progress=app.progress()
    )
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
    app.show(report, *([found] if report.results else []), *lenses, summary)
    if not dry_run and not aligned and not report.done_before:
        return 1
    return PARTLY_DONE if failed else 0
