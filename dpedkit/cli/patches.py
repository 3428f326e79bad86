"""dpedkit build-patches, gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, cli, listed, marked, pass_app, table
from dpedkit.cli.options import chosen_workers, dry_run_option, workers_options

if TYPE_CHECKING:
    from rich.table import Table

    from dpedkit.stages.judging import PolicyRow
    from dpedkit.stages.patches import PatchReport


@cli.command()
@click.option("--size", "size_px", type=click.IntRange(16, 1024), help="Side of a patch, px.")
@click.option(
    "--stride", "stride_px", type=click.IntRange(1), help="Step between patches, px; --size puts them edge to edge."
)
@click.option("--count", type=click.IntRange(1), help="At most so many from each pair, drawn evenly from all over it.")
@click.option(
    "--match",
    type=click.Choice(["none", "gain", "curve"]),
    help="Bring the DSLR's tone to the phone's, by gain and offset or by a curve: structure to learn, without colour.",
)
@click.option(
    "--gates", metavar="NAME|FILE", help="Which patches to keep: default, paper, your own; see `dpedkit gates`."
)
@workers_options
@dry_run_option
@pass_app
def build_patches(app: App, /, jobs: int | None, cluster: str | None, dry_run: bool, **given: int | str | None) -> int:
    """Cut matched patches from every aligned pair, score and judge them, and split the shots.

    Only what is missing is done. What is not said here is as dpedkit.toml says under [patches]. Another size, stride,
    count or match cuts again; other gates judge what is there, in seconds.

    \b
    dpedkit build-patches                              as dpedkit.toml says
    dpedkit build-patches --gates paper                keep what the paper would keep
    dpedkit build-patches --size 64 --stride 32        smaller ones that overlap
    dpedkit build-patches --count 200 --match curve    200 a pair, the DSLR in the phone's tone
    dpedkit build-patches --cluster tcp://head:8786    on the workers of a Dask scheduler
    """
    from dpedkit.settings import check
    from dpedkit.stages.patches import build_patches as build
    from dpedkit.workspace import PatchSettings

    settings = app.workspace.settings
    said: dict[str, int | str | None] = {key: value for key, value in given.items() if value is not None}
    if "size_px" in said:
        said.setdefault("stride_px", None)  # a stride in dpedkit.toml was meant for the size beside it
    report = build(
        app.workspace,
        wanted=check(PatchSettings, settings.patches.model_dump() | said, "build-patches"),
        workers=chosen_workers(settings, jobs, cluster),
        dry_run=dry_run,
        progress=app.progress(),
    )
    again = f" ({report.cut_again} that were cut with other settings before)" if report.cut_again else ""
    pairs = f"{listed(report.pairs, 'pair')} to cut{again}" if dry_run else f"{listed(report.pairs, 'pair')} cut{again}"
    judged = f"{report.judged} {'to judge' if dry_run else 'judged'} again"
    summary = f"{pairs}, {judged} by gates {report.gates}, {report.done_before} done before"
    if dry_run:
        app.show(report, summary)
        return 0
    app.show(
        report,
        *([_verdicts(report)] if report.patches else []),
        summary,
        *(marked("failed", "red", f"{pair}: {why}") for pair, why in report.failures.items()),
        "shots: " + ", ".join(f"{name} {count}" for name, count in report.splits.items()),
    )
    return PARTLY_DONE if report.failures else 0


@cli.command()
@pass_app
def gates(app: App) -> None:
    """List the policies of which patches to keep, and how many of the workspace's each would.

    A policy is a TOML file: one of dpedkit's own, or yours in the workspace's folder gates/. Nothing is changed.

    \b
    dpedkit gates                          compare
    dpedkit build-patches --gates paper    choose
    """
    from dpedkit.stages.judging import compare_gates

    found = compare_gates(app.workspace)
    changed = [f"{row.name}: its limits changed: raise its version" for row in found if row.changed]
    app.show(
        found,
        _comparison(found),
        *(f"{row.name}: {row.purpose}" for row in found),
        *(marked("changed", "yellow", line) for line in changed),
    )


def _verdicts(report: PatchReport) -> Table:
    """Why patches were kept or not, with the limit behind each reason."""
    from dpedkit.align.gates import LIMIT_OF

    lines = table("patches", "", "", "")
    lines.add_row(marked("kept", "green"), str(report.kept), _share(report.kept, report.patches), "")
    for reason, limit in LIMIT_OF.items():
        if count := report.reasons.get(reason):
            bound = f"{limit} = {report.limits[limit]:g}"
            lines.add_row(reason, str(count), _share(count, report.patches), bound)
    return lines


def _comparison(found: list[PolicyRow]) -> Table:
    """A column for each policy: its limits, then what becomes of the patches."""
    from dpedkit.align.gates import LIMIT_OF

    lines = table("", *(row.gates.partition("#")[0] for row in found))
    for limit in LIMIT_OF.values():
        lines.add_row(limit, *(f"{row.limits[limit]:g}" if limit in row.limits else "-" for row in found))
    lines.add_row("")
    lines.add_row("patches", *(str(row.tally.patches) for row in found))
    lines.add_row("in use", *(str(row.in_use) for row in found))
    kept = (f"{row.tally.kept} {_share(row.tally.kept, row.tally.patches)}" for row in found)
    lines.add_row(marked("kept", "green"), *kept)
    for reason in LIMIT_OF:
        if any(reason in row.tally.reasons for row in found):
            lines.add_row(reason, *(str(row.tally.reasons.get(reason, 0)) for row in found))
    return lines


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else ""
