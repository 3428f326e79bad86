"""dpedkit split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import App, cli, listed, marked, pass_app, table
from dpedkit.cli.options import dry_run_option

if TYPE_CHECKING:
    from rich.table import Table

    from dpedkit.stages.splitting import SplitReport


@cli.command()
@click.option("--check", is_flag=True, help="Change nothing: look for shots of different splits that show the same.")
@dry_run_option
@pass_app
def split(app: App, check: bool, dry_run: bool) -> int:
    """Put shots into train, val and test, so that nothing leaks from one into another; `build-patches` does it, too.

    Shots that show the same go together: repetitions, near-duplicates by a perceptual hash, shots soon after each other
    that are still alike, and shots at one place. dpedkit.toml has the limits under [split]. A shot keeps its split for
    good, however many are added.

    \b
    dpedkit split --dry-run
    dpedkit split
    dpedkit split --check      exits with 1 if anything leaks
    """
    from dpedkit.stages.splitting import split_shots

    report = split_shots(app.workspace, dry_run=dry_run, check=check)
    would = "would get" if dry_run else "got"
    sizes = ", ".join(f"{count} of {size}" for size, count in report.groups.items())
    app.show(
        report,
        *([] if check else [f"{listed(len(report.assigned), 'shot')} {would} a split"]),
        "shots: " + (", ".join(f"{name} {count}" for name, count in report.splits.items()) or "none has a split"),
        f"groups that stay together: {sizes or 'none'}",
        *([f"the largest: {listed(len(report.largest), 'shot', report.largest)}"] if report.largest else []),
        *(
            marked("held out", "yellow", f"{shot}: shows the same as shots of several splits ({why})")
            for shot, why in report.held_out.items()
        ),
        *([_leaks(report)] if report.leaks else []),
        *(_verdict(report) if check else []),
    )
    return int(check and bool(report.leaks))


def _leaks(report: SplitReport) -> Table:
    shown = table("leak", "", "splits", "why")
    for leak in report.leaks:
        shown.add_row(leak.one, leak.other, " / ".join(leak.splits), leak.why)
    return shown


def _verdict(report: SplitReport) -> list[str]:
    lines = [f"{listed(len(report.leaks), 'leak')} found" if report.leaks else "no leak found"]
    if report.unhashed:
        lines.append(f"not compared: {listed(report.unhashed, 'shot')} whose photos have no hash (`dpedkit measure`)")
    if report.unplaced:
        lines.append(f"not placed: {listed(report.unplaced, 'shot')} whose photos have no GPS")
    return lines
