"""dpedkit import, align, build-patches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, Command, cli, listed, marked, pass_app, table

if TYPE_CHECKING:
    from dpedkit.stages.importing import Pairing

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(0),
    default=0,
    help="Worker processes; 0: as dpedkit.toml says, else one per processor.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


class _NamedFolder(click.ParamType[tuple[str, Path]]):
    """NAME=DIR."""

    name = "NAME=DIR"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """Split at the first equals sign."""
        name, equals, folder = value.partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name == "dslr":
            self.fail(f"{value!r} is not NAME=DIR, with a lower-case name such as sony", param, ctx)
        return name, Path(folder)


@cli.group(name="import")
def import_() -> None:
    """Bring in photos that were not taken by a rig of dpedkit."""


@import_.command(cls=Command)
@click.option("--dslr", type=click.Path(path_type=Path), required=True, help="Folder of the DSLR's photos.")
@click.option("--phone", "phones", type=_NamedFolder(), multiple=True, required=True, help="A phone's name and folder.")
@click.option(
    "--pair-by",
    type=click.Choice(["name", "order"]),
    default="name",
    show_default=True,
    help="Photos of the same name, or the first with the first and so on.",
)
@dry_run_option
@pass_app
def folder(app: App, dslr: Path, phones: tuple[tuple[str, Path], ...], pair_by: Pairing, dry_run: bool) -> int:
    """Import folders of photos, one per camera; photos of the same name are one shot.

    \b
    dpedkit import folder --dslr canon/ --phone sony=xperia/ --phone iphone=iphone/
    dpedkit import folder --dslr canon/ --phone sony=xperia/ --pair-by order --dry-run
    """
    from dpedkit.stages.importing import import_folders

    if len(dict(phones)) < len(phones):
        raise click.BadParameter("a phone's name stands twice", param_hint="--phone")
    report = import_folders(
        app.workspace, dslr, dict(phones), pair_by=pair_by, dry_run=dry_run, progress=app.progress()
    )
    lines = [marked("left out", "yellow", f"{path}: {why}") for path, why in report.unpaired.items()]
    lines += [marked("failed", "red", f"{label}: {why}") for label, why in report.failures.items()]
    pairs = [" + ".join(str(path) for path in group.photos.values()) for group in report.groups] if dry_run else []
    new = len(report.groups) - report.known - len(report.failures)
    verb = "would be imported" if dry_run else "imported"
    app.show(
        report,
        *pairs,
        *lines,
        f"{listed(new, 'shot')} {verb}, {report.known} known already, {listed(len(report.unpaired), 'photo')} left out",
    )
    return PARTLY_DONE if report.failures else 0


@cli.command()
@jobs_option
@dry_run_option
@pass_app
def align(app: App, jobs: int, dry_run: bool) -> int:
    """Align every phone photo to the DSLR photo of its shot; only what is missing is done."""
    from dpedkit.stages.align import align_pairs

    report = align_pairs(app.workspace, jobs=jobs, dry_run=dry_run, progress=app.progress())
    found = table("pair", "", "residual", "")
    for result in report.results:
        residual = "" if result.residual_px is None else f"{result.residual_px:.3f} px"
        color = {"aligned": "green", "to do": "white"}.get(result.status, "red")
        found.add_row(result.pair, marked(result.status, color), residual, result.detail)
    aligned, rejected, failed = (report.with_status(word) for word in ("aligned", "rejected", "failed"))
    summary = (
        f"{len(aligned)} aligned, {len(rejected)} rejected, {len(failed)} failed, {report.done_before} done before"
    )
    app.show(report, *([found] if report.results else []), summary)
    if not dry_run and not aligned and not report.done_before:
        return 1
    return PARTLY_DONE if failed else 0


@cli.command()
@jobs_option
@dry_run_option
@pass_app
def build_patches(app: App, jobs: int, dry_run: bool) -> int:
    """Cut matched patches from every aligned pair, score them, and split the shots; only what is missing is done."""
    from dpedkit.stages.patches import build_patches as build

    report = build(app.workspace, jobs=jobs, dry_run=dry_run, progress=app.progress())
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
