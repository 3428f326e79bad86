"""dpedkit import."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, Command, cli, listed, marked, pass_app, table
from dpedkit.cli.options import dry_run_option, jobs_option

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from dpedkit.executor import Workers
    from dpedkit.stages.bringing_in import ImportReport
    from dpedkit.stages.pairing import Clock, PairBy


class _Name(click.ParamType[str]):
    """A phone's name."""

    name = "NAME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what could not be part of a file's name everywhere."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value) or value == "dslr":
            self.fail(f"{value!r} is no name for a phone: lower-case letters, such as sony", param, ctx)
        return value


class _NamedFolder(click.ParamType[tuple[str, Path]]):
    """NAME=DIR."""

    name = "NAME=DIR"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """Split at the first equals sign."""
        name, equals, folder = value.partition("=")
        if not equals:
            self.fail(f"{value!r} is not NAME=DIR, such as sony=xperia/", param, ctx)
        return _Name().convert(name, param, ctx), Path(folder)


link_option = click.option(
    "--link", is_flag=True, help="Hard links instead of copies: no space is taken, on one file system."
)


@cli.group(name="import")
def import_() -> None:
    """Bring in photos that were not taken by a rig of dpedkit."""


@import_.command(cls=Command)
@click.option("--dslr", type=click.Path(path_type=Path), required=True, help="Folder of the DSLR's photos.")
@click.option("--phone", "phones", type=_NamedFolder(), multiple=True, required=True, help="A phone's name and folder.")
@click.option(
    "--pair-by",
    type=click.Choice(["auto", "time", "name", "order"]),
    default="auto",
    show_default=True,
    help="time: by EXIF, the offset between the clocks found from the photos; auto: and by what they show where times "
    "do not tell; name: files of the same name; order: the first with the first and so on.",
)
@click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0.1, 60),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Photos of one shot were taken within this of each other, the clocks set against each other.",
)
@link_option
@jobs_option
@dry_run_option
@pass_app
def folder(
    app: App,
    dslr: Path,
    phones: tuple[tuple[str, Path], ...],
    pair_by: PairBy,
    within_s: float,
    link: bool,
    jobs: int | None,
    dry_run: bool,
) -> int:
    """Import folders of photos, one per camera; photos that were taken together are one shot.

    The cameras' clocks need not agree. RAW and JPEG of the same name are one photo in two formats.

    \b
    dpedkit import folder --dslr canon/ --phone sony=xperia/ --phone iphone=iphone/ --dry-run
    dpedkit import folder --dslr canon/ --phone sony=xperia/ --phone iphone=iphone/
    dpedkit import folder --dslr canon/ --phone sony=xperia/ --pair-by name --link
    """
    from dpedkit.stages.importing import import_folders

    if len(dict(phones)) < len(phones):
        raise click.BadParameter("a phone's name stands twice", param_hint="--phone")
    report = import_folders(
        app.workspace,
        dslr,
        dict(phones),
        pair_by=pair_by,
        within_s=within_s,
        link=link,
        dry_run=dry_run,
        workers=_workers(app, jobs),
        progress=app.progress(),
    )
    return _shown(app, report, list(dict(phones)), dry_run)


@import_.command(cls=Command)
@click.option("--input", "inputs", type=click.Path(path_type=Path), required=True, help="Folder of the phone's photos.")
@click.option(
    "--target", "targets", type=click.Path(path_type=Path), required=True, help="Folder of the DSLR's photos."
)
@click.option("--phone", type=_Name(), default="phone", show_default=True, help="What to call the phone.")
@click.option(
    "--meta-info",
    type=click.Path(path_type=Path),
    help='BasicSR\'s list of the pairs to take: lines such as "0001.png (480,480,3)". Left out: all.',
)
@link_option
@jobs_option
@dry_run_option
@pass_app
def pairs(
    app: App,
    inputs: Path,
    targets: Path,
    phone: str,
    meta_info: Path | None,
    link: bool,
    jobs: int | None,
    dry_run: bool,
) -> int:
    """Import photos that are aligned already: two folders with the same names, as BasicSR has them.

    Both photos of a pair must have the same size. `dpedkit build-patches` cuts them as they are.

    \b
    dpedkit import pairs --input lq/ --target gt/ --phone sony
    dpedkit import pairs --input lq/ --target gt/ --meta-info meta_info.txt --dry-run
    """
    from dpedkit.stages.importing_pairs import import_pairs

    report = import_pairs(
        app.workspace,
        inputs,
        targets,
        phone=phone,
        meta_info=meta_info,
        link=link,
        dry_run=dry_run,
        workers=_workers(app, jobs),
        progress=app.progress(),
    )
    return _shown(app, report, [phone], dry_run)


@import_.command(cls=Command)
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--phone", "phones", type=_Name(), multiple=True, help="Only this phone; may be repeated. Left out: all.")
@jobs_option
@dry_run_option
@pass_app
def dped(app: App, root: Path, phones: tuple[str, ...], jobs: int | None, dry_run: bool) -> int:
    """Import a copy of the public DPED dataset: its patches, with its own split, and its whole photos.

    The patches need no align and no build-patches: `dpedkit train` is next.

    \b
    dpedkit import dped ~/dped --dry-run
    dpedkit import dped ~/dped --phone iphone
    """
    from dpedkit.stages.importing_dped import import_dped

    report = import_dped(
        app.workspace, root, phones=phones, dry_run=dry_run, workers=_workers(app, jobs), progress=app.progress()
    )
    found = table("phone", "split", "patches")
    for row in report.folders:
        found.add_row(row.phone, row.split, str(row.pairs))
    whole = [f"{phone}: {listed(count, 'whole photo')}" for phone, count in report.photos.items()]
    verb = "would be imported" if dry_run else "imported"
    patches = sum(row.pairs for row in report.folders) if dry_run else report.patches
    app.show(
        report,
        found,
        *whole,
        *_left(report.unpaired, report.failures),
        f"{patches} patch pairs {verb}, {report.known} known already",
    )
    return PARTLY_DONE if report.failures else 0


def _shown(app: App, report: ImportReport, phones: list[str], dry_run: bool) -> int:
    """Print what was imported, or would be; return the exit code."""
    verb = "would be imported" if dry_run else "imported"
    shown: list[RenderableType] = [_pairing(report, phones)] if dry_run else []
    app.show(
        report,
        *shown,
        *(_told(clock) for clock in report.clocks),
        *_left(report.unpaired, report.failures),
        f"{listed(report.imported, 'shot')} {verb}, {report.known} known already, "
        f"{listed(len(report.unpaired), 'photo')} left out",
    )
    return PARTLY_DONE if report.failures else 0


def _workers(app: App, jobs: int | None) -> Workers:
    """Return the processes of this machine: the folders may be seen from here alone."""
    from dpedkit.executor import Workers

    return Workers(app.workspace.settings.jobs if jobs is None else jobs)


def _left(unpaired: dict[str, str], failures: dict[str, str]) -> list[RenderableType]:
    return [
        *(marked("left out", "yellow", f"{path}: {why}") for path, why in unpaired.items()),
        *(marked("failed", "red", f"{path}: {why}") for path, why in failures.items()),
    ]


def _pairing(report: ImportReport, phones: list[str]) -> Table:
    """Return a row per shot: the DSLR's photo, and each phone's with the difference of their times if known."""
    timed = [phone for phone in phones if any(phone in group.apart_s for group in report.groups)]
    found = table("dslr", *(title for phone in phones for title in ([phone, "apart"] if phone in timed else [phone])))
    for group in report.groups:
        cells = ["+".join(path.name for path in group.photos["dslr"].files)]
        for phone in phones:
            take, apart_s = group.photos.get(phone), group.apart_s.get(phone)
            cells.append("+".join(path.name for path in take.files) if take else "")
            if phone in timed:
                cells.append("" if apart_s is None else f"{apart_s:+.2f} s")
        found.add_row(*cells)
    return found


def _told(clock: Clock) -> str:
    """Return a line such as "sony: its clock shows 1:00:03.2 more than the DSLR's (+- 0.1 s, ...)"."""
    whole, tenths = divmod(round(abs(clock.offset_s) * 10), 10)
    days, rest = divmod(whole, 86400)
    offset = (f"{days} d " if days else "") + f"{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}.{tenths}"
    more = "more" if clock.offset_s >= 0 else "less"
    by = ", chosen by what the photos show" if clock.chosen_by == "content" else ""
    return (
        f"{clock.phone}: its clock shows {offset} {more} than the DSLR's (+- {clock.bound_s:.2f} s, "
        f"drift {clock.drift_ppm:+.0f} ppm; {listed(clock.pairs, 'pair')} within {clock.within_s:.1f} s{by})"
    )
