"""dpedkit build-patches."""

from __future__ import annotations

from dpedkit.cli.app import PARTLY_DONE, App, cli, listed, marked, pass_app
from dpedkit.cli.options import dry_run_option, jobs_option


@cli.command()
@jobs_option
@dry_run_option
@pass_app
def build_patches(app: App, jobs: int, dry_run: bool) -> int:
    """Cut matched patches from every aligned pair, score them, and split the shots; only what is missing is done."""
    from dpedkit.executor import Workers
    from dpedkit.stages.patches import build_patches as build

    report = build(
        app.workspace, workers=Workers(jobs or app.workspace.settings.jobs), dry_run=dry_run, progress=app.progress()
    )
    if dry_run:
        app.show(report, f"{listed(report.pairs, 'pair')} to cut, {report.done_before} done before")
        return 0
    reasons = [f"  {count} {reason}" for reason, count in sorted(report.reasons.items())]
    splits = ", ".join(f"{name} {count}" for name, count in report.splits.items())
    app.show(
        report,
        f"{report.kept} of {listed(report.patches, 'patch').replace('patchs', 'patches')} kept, "
        f"from {listed(report.pairs, 'pair')}; {report.done_before} pairs done before",
        *reasons,
        *(marked("failed", "red", f"{pair}: {why}") for pair, why in report.failures.items()),
        f"shots: {splits}",
    )
    return PARTLY_DONE if report.failures else 0
