"""dpedkit figure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from dpedkit.cli.app import App, cli, from_here, pass_app, table
from dpedkit.cli.judging import externals_option, split_option
from dpedkit.cli.options import device_option, dry_run_option
from dpedkit.cli.weights import overwrite_option

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dpedkit.db import SplitName
    from dpedkit.stages.figure.making import FigureReport

_MM = {"mm": 1.0, "cm": 10.0, "in": 25.4}


class Length(click.ParamType[float]):
    """A length, mm, written as 175mm, 17.5cm or 6.875in."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the millimetres."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(mm|cm|in)", str(value))
        if not found or not float(found[1]):
            return self.fail(f"{value!r} is no length: write 175mm or 6.875in", param, ctx)
        return float(found[1]) * _MM[found[2]]


@cli.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write: .pdf, with text as text and crops in their own pixels, or .png.",
)
@click.option("--phone", default="", help="Whose photos are shown; may be left out where there is one phone.")
@click.option(
    "--photo",
    "photos",
    multiple=True,
    help="A photo, by its shot (20261126-074427/0012) or the end of that (12); may be given again. "
    "Left out: those that boxes name, or three, evenly spaced.",
)
@click.option(
    "--box",
    "boxes",
    multiple=True,
    metavar="[PHOTO:]X,Y,W,H",
    help="A row: what is cut out of that photo, or of every photo, px; may be given again. "
    "Left out: where the DSLR's photo has the most detail.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME[=LABEL]",
    help="A column, and what is written over it: phone, a run or imported model, a name of --external, a colour "
    "baseline, or dslr; may be given again. Left out: phone, all finished runs, externals, dslr.",
)
@externals_option
@split_option
@click.option("--crop", type=click.IntRange(16), default=200, show_default=True, help="Side of boxes not given, px.")
@click.option("--overview", is_flag=True, help="Show each photo whole in a first column, with its boxes.")
@click.option("--metrics", is_flag=True, help="Write PSNR and SSIM of each crop against the DSLR's below it.")
@click.option("--width", type=Length(), default="175mm", show_default=True, help="Of the figure: mm, cm or in.")
@click.option(
    "--dpi",
    type=click.IntRange(72, 2400),
    default=300,
    show_default=True,
    help="Dots per inch, at least: pixels are magnified a whole number of times.",
)
@click.option(
    "--filter",
    "how",
    type=click.Choice(["nearest", "lanczos"]),
    default="nearest",
    show_default=True,
    help="How pixels are magnified.",
)
@device_option
@overwrite_option
@dry_run_option
@pass_app
def figure(
    app: App,
    output: Path,
    phone: str,
    photos: tuple[str, ...],
    boxes: tuple[str, ...],
    methods: tuple[str, ...],
    externals: list[tuple[str, Path]],
    split: SplitName,
    crop: int,
    overview: bool,
    metrics: bool,
    width: float,
    dpi: int,
    how: Literal["nearest", "lanczos"],
    device: str,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Draw a figure for a paper: the same places of photos by the phone, by methods and by the DSLR, side by side.

    \b
    dpedkit figure -o fig3.pdf --phone sony
    dpedkit figure -o fig3.pdf --phone sony --photo 12 --photo 17 --box 400,300,200,150 --overview --metrics
    dpedkit figure -o fig3.pdf --box 12:400,300,200,150 --method phone=Input --method dped=Ours --method dslr
    dpedkit figure -o fig3.png --phone sony --width 82.5mm --dpi 600 --filter lanczos
    """
    from dpedkit.stages.figure.asking import Wish, parse_box
    from dpedkit.stages.figure.making import make_figure

    wish = Wish(
        phone=phone,
        split=split,
        photos=photos,
        boxes=tuple(map(parse_box, boxes)),
        methods=tuple((name, label) for name, _, label in (method.partition("=") for method in methods)),
        externals=tuple(externals),
        crop_px=crop,
        overview=overview,
        metrics=metrics,
        width_mm=width,
        dpi=dpi,
        filter=how,
    )
    made = make_figure(
        app.workspace, output, wish, device=device, overwrite=overwrite, dry_run=dry_run, progress=app.progress()
    )
    app.show(made, *_lines(made))


def _lines(made: FigureReport) -> list[RenderableType]:
    rows = table("photo", "box", "")
    for row in made.rows:
        rows.add_row(row.shot, f"{row.x},{row.y},{row.width},{row.height}", "chosen: most detail" if row.chosen else "")
    lines: list[RenderableType] = [
        rows,
        f"columns: {', '.join(column.label for column in made.columns)}",
        *(f"{column.name}: {column.stamp}" for column in made.columns if column.stamp),
    ]
    width, height = made.size_mm
    size = f"{width:.0f} x {height:.0f} mm, {made.size_px[0]} x {made.size_px[1]} px at {made.dpi:.0f} dpi"
    done = "nothing was done: --dry-run" if made.file is None else f"figure: {from_here(Path(made.file))}"
    return [*lines, f"{size}; a pixel of the widest crop is {made.zoom} dots wide", done, f"again: {made.command}"]
