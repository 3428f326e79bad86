"""dpedkit calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import PARTLY_DONE, App, cli, listed, marked, pass_app, table
from dpedkit.cli.rig import DEVICE_FAILED, rig_option

if TYPE_CHECKING:
    from dpedkit.stages.calibrate import CalibrationReport, Found, Plan


@cli.command()
@rig_option
@click.option("--shots", type=click.IntRange(1), default=24, show_default=True, help="How many times to fire.")
@click.option("--device", metavar="NAME", help="Calibrate this one only.")
@click.option("--yes", is_flag=True, help="The clock is shown already: do not wait for Enter.")
@click.option("--keep", is_flag=True, help="Keep the photos in .calibration/.")
@click.option("--delete", is_flag=True, help="Delete the photos on the devices once they are here.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@pass_app
def calibrate(
    app: App, rig: str, shots: int, device: str | None, yes: bool, keep: bool, delete: bool, dry_run: bool
) -> int:
    """Measure how long each device takes from its release command to the open shutter.

    Every device photographs a clock on this computer's screen. Its lag and how it stamps its photos are kept in
    rigs/calibration/, and sessions use them from then on. Anew after a change of trigger, app or firmware.

    \b
    dpedkit calibrate --rig tripod
    dpedkit calibrate --device sony --shots 40
    """
    from dpedkit.stages import calibrate as stage

    if dry_run:
        plan = stage.plan_calibration(app.workspace, rig, shots, device)
        app.show(plan, *_plan_lines(plan))
        return 0
    app.go_on = "nothing was changed: the calibration before this one holds"
    report = stage.calibrate(
        app.workspace,
        rig,
        shots=shots,
        progress=app.progress(),
        device=device,
        ask=lambda page: _ask(page, wait=not yes),
        keep=keep,
        delete=delete,
    )
    return _show(app, report)


def _ask(page: Path, *, wait: bool) -> None:
    """Tell which page to open; wait until it is open. Nothing is opened from here: the screen may be far away."""
    click.echo(
        f"Open this page on the screen of this computer, and point every device at it:\n  {page.as_uri()}", err=True
    )
    if wait:
        click.prompt("Enter when every device sees it", default="", show_default=False, prompt_suffix=" ", err=True)


def _plan_lines(plan: Plan) -> list[str]:
    clock = f"shown by {plan.page}" if plan.page else "shown to the simulated devices by themselves"
    return [
        f"would fire {', '.join(plan.devices)} {plan.shots} times, about {plan.shots * 3} s",
        f"the clock is {clock}",
        f"the result goes to {plan.file}",
    ]


def _show(app: App, report: CalibrationReport) -> int:
    """Print what was found; return the exit code."""
    found = table("device", "lag", "stamp lag", "shots", "source", "")
    for one in report.devices:
        words = "; ".join(filter(None, [one.note, report.failed.get(one.device, "")]))
        found.add_row(one.device, *_cells(one), marked(words, "yellow" if one.is_new else "red"))
    new = [one.device for one in report.devices if one.is_new]
    app.show(report, found, f"{listed(len(new), 'device')} calibrated: {report.file}" if new else "nothing was found")
    if len(new) == len(report.devices):
        return (
            PARTLY_DONE if any(one.calibration and one.calibration.source == "stamps" for one in report.devices) else 0
        )
    return DEVICE_FAILED if report.failed else PARTLY_DONE


def _cells(found: Found) -> tuple[str, str, str, str]:
    known = found.calibration
    if known is None:
        return "", "", "", ""
    lag = f"{known.lag_ms:.1f} ± {known.lag_spread_ms:.1f} ms"
    stamp = "unknown" if known.stamp_lag_ms is None else f"{known.stamp_lag_ms:+.1f} ± {known.stamp_bound_ms:.1f} ms"
    unread = f", clock unread in {found.unread}" if found.is_new and found.unread else ""
    return lag, stamp, f"{known.shots}{unread}", known.source
