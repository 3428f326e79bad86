"""dpedkit export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpedkit.cli.app import App, cli, listed, pass_app, table
from dpedkit.cli.curating import where_option
from dpedkit.cli.options import dry_run_option, jobs_option

if TYPE_CHECKING:
    from dpedkit.stages.exporting import ExportReport

_SPLITS = ("train", "val", "test")


@cli.command()
@click.argument("layout", metavar="LAYOUT")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--snapshot", default="", metavar="NAME", help="A named snapshot. Left out: what is in use now.")
@click.option("--phone", "phones", multiple=True, help="Only this phone; may be given again.")
@click.option(
    "--split", "splits", multiple=True, type=click.Choice(_SPLITS), help="Only this split; may be given again."
)
@where_option
@click.option(
    "--keep-private", is_flag=True, help="Keep what photos tell, serial numbers, scenes and the names of shots."
)
@click.option("--photos", is_flag=True, help="Whole photos, too, where the layout has a place for them.")
@click.option("--licence", default="", metavar="TEXT", help='For the card, such as "cc-by-4.0".')
@jobs_option
@dry_run_option
@pass_app
def export(app: App, /, layout: str, folder: Path, jobs: int | None, dry_run: bool, **given: Any) -> None:
    """Write patches to a new folder, in a layout that others read.

    \b
    dped        the public dataset's, for the DPED authors' code
    basicsr     folders lq and gt with a meta_info file, for BasicSR and what descends from it
    hf          Hugging Face's image folder, for `datasets`
    webdataset  tar files of 1,000 pairs

    What leaves is told by README.md, manifest.jsonl and SHA256SUMS in the folder. Places, times, serial numbers and
    names are left out, unless --keep-private.

    \b
    dpedkit export basicsr ~/out --dry-run
    dpedkit export hf ~/out --snapshot 2026-11 --licence cc-by-4.0
    dpedkit export dped ~/out --phone sony
    dpedkit export webdataset ~/out --split train --where "confidence > 0.9"
    """
    from dpedkit.executor import Workers
    from dpedkit.stages.exporting import Wanted
    from dpedkit.stages.exporting import export as hand_on

    app.go_on = "what was finished is kept: run the same command again to go on"
    workspace = app.workspace
    report = hand_on(
        workspace,
        folder,
        Wanted(layout=layout, **given),
        dry_run=dry_run,
        workers=Workers(workspace.settings.jobs if jobs is None else jobs),
        progress=app.progress(),
    )
    _show(app, report, dry_run=dry_run)


def _show(app: App, report: ExportReport, *, dry_run: bool) -> None:
    shown = table("phone", *_SPLITS)
    for phone, splits in report.patches.items():
        shown.add_row(phone, *(str(splits.get(split, 0)) for split in _SPLITS))
    total = sum(sum(splits.values()) for splits in report.patches.values())
    what = listed(total, "pair") + (f" and {listed(report.photos, 'photo')}" if report.photos else "")
    left = [
        f"left out: {listed(count, 'pair')} of {phone} in {split}, for which {report.layout} has no place"
        for phone, splits in report.left_out.items()
        for split, count in splits.items()
    ]
    left += [f"left out: {path}: {why}" for path, why in report.photos_left_out.items()]
    if report.there:
        last = f"{report.folder} is this export already: `sha256sum -c SHA256SUMS` there checks it"
    elif dry_run:
        last = f"{what} would be written to {report.folder}"
    else:
        size = f"{report.size_bytes / 1e6:.1f} MB"
        last = f"{what} in {report.folder}: {listed(report.files, 'file')}, {size}"
    app.show(report, shown, *left, last, f"list of patches {report.hash[:12]}")
