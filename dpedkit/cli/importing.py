"""dpedkit import."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, Command, cli, listed, marked, pass_app
from dpedkit.cli.options import dry_run_option

if TYPE_CHECKING:
    from dpedkit.stages.importing import Pairing


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
