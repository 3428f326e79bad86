"""dpedkit demo."""

from __future__ import annotations

from pathlib import Path

import click

from dpedkit.cli.app import App, cli, pass_app


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--scenes",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photos to point the simulated cameras at.",
)
@click.option("--shots", type=click.IntRange(6), default=24, show_default=True, help="How many times to fire.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of scenes, noise and training.")
@pass_app
def demo(app: App, folder: Path, scenes: Path | None, shots: int, seed: int) -> int:
    """Run the whole line on a simulated rig and write a report with pictures.

    Makes a workspace in FOLDER, fires a DSLR and three phones, aligns, cuts patches, trains a small network for each
    phone, enhances held-out photos, scores them, and writes FOLDER/report.html. Exits with 1 if a phone's enhanced
    photos are not at least 3 dB better than its own.

    \b
    dpedkit demo demo
    dpedkit demo demo --scenes ~/Pictures/landscapes
    """
    from dpedkit.stages.demo import run_demo

    result = run_demo(folder, scenes=scenes, shots=shots, seed=seed, progress=app.progress())
    app.show(result, *result.lines(), f"report: {result.report}")
    return 0 if result.passed else 1
