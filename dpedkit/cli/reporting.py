"""dpedkit report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, cli, from_here, marked, pass_app
from dpedkit.cli.judging import externals_option, protocol_option, split_option
from dpedkit.cli.options import device_option

if TYPE_CHECKING:
    from dpedkit.db import SplitName
    from dpedkit.stages.evaluate import Protocol


@cli.command()
@click.argument("runs", nargs=-1, required=True)
@split_option
@protocol_option
@click.option(
    "--photos",
    type=click.IntRange(0),
    default=12,
    show_default=True,
    help="Whole photos to enhance for pictures and artefacts, evenly spaced; 0: all.",
)
@externals_option
@device_option
@pass_app
def report(
    app: App,
    runs: tuple[str, ...],
    split: SplitName,
    protocol: Protocol,
    photos: int,
    externals: list[tuple[str, Path]],
    device: str,
) -> int:
    """Write a page on a run, or one that compares several: scores, pictures, artefacts, curves, how to repeat it.

    \b
    dpedkit report sony-small
    dpedkit report sony-small sony-dped --external APE=enhanced-by-apple/
    """
    from dpedkit.stages.run_report import write_run_report

    made = write_run_report(
        app.workspace,
        runs,
        split=split,
        protocol=protocol,
        photos=photos,
        externals=externals,
        device=device,
        progress=app.progress(),
    )
    problems = [*made.scores.problems, *made.artefacts.problems]
    told = [marked("left out", "yellow", problem) for problem in dict.fromkeys(problems)]
    app.show(made, *told, f"report: {from_here(made.page)}")
    return PARTLY_DONE if problems else 0
