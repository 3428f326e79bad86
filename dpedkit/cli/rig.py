"""dpedkit capture, simulate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import App, as_json, cli, listed, marked, pass_app, table

if TYPE_CHECKING:
    from rich.text import Text

    from dpedkit.stages.capture import CaptureReport
    from dpedkit.stages.recording import ShotSummary

DEVICE_FAILED = 4

rig_option = click.option("--rig", default="tripod", show_default=True, help="Name of a file in rigs/.")


@cli.command()
@rig_option
@click.option("--shots", type=click.IntRange(1), default=1, show_default=True, help="How many times to fire.")
@click.option("--interval", type=click.FloatRange(0), default=0.0, metavar="S", help="Seconds from shot to shot.")
@click.option("--countdown", type=click.FloatRange(0), default=0.0, metavar="S", help="Seconds before the first shot.")
@click.option("--scene", default="", metavar="NAME", help="A name for what is photographed.")
@click.option("--retry", type=click.IntRange(0), default=0, metavar="N", help="Fire a bad shot again, N times at most.")
@click.option("--resume", is_flag=True, help="Finish what earlier sessions left, then fire what the last one wanted.")
@click.option("--delete", is_flag=True, help="Delete photos on the devices once they are stored and verified here.")
@click.option("--trace", type=click.Path(path_type=Path, dir_okay=False), help="Take down what is said to devices.")
@pass_app
def capture(
    app: App,
    rig: str,
    shots: int,
    interval: float,
    countdown: float,
    scene: str,
    retry: int,
    resume: bool,
    delete: bool,
    trace: Path | None,
) -> int:
    """Fire every camera of the rig together and store the photos.

    A shot is bad if a device failed in it or its skew is over the rig's threshold. With --json every event is one line.

    \b
    dpedkit capture --rig tripod --shots 8
    dpedkit capture --rig tripod --shots 20 --interval 5 --scene garden --retry 2
    dpedkit capture --resume                 after a crash, a power cut or Ctrl-C
    """
    from dpedkit.cli.live import watching
    from dpedkit.stages.capture import resume_sessions, run_session
    from dpedkit.stages.wishes import Wish

    app.streams = True
    app.go_on = "the photos taken are kept: `dpedkit capture --resume` goes on"
    wish = Wish(shots, interval, scene, countdown, retry, delete)
    with watching(as_json=app.json, quiet=app.quiet, shots=shots) as hear:
        if resume:
            report = resume_sessions(app.workspace, rig, hear, trace_file=trace)
        else:
            report = run_session(app.workspace, rig, wish, hear, trace_file=trace)
    return _show_capture(app, report)


def _show_capture(app: App, report: CaptureReport) -> int:
    """Print what a session did; return the exit code."""
    if app.json:
        click.echo(as_json({"event": "report", **asdict(report)}))
    else:
        taken = table("shot", "photos", "skew", "")
        for shot in [*report.resumed, *report.shots]:
            skew = "" if shot.skew_ms is None else f"{shot.skew_ms:.0f} ± {shot.skew_bound_ms:.0f} ms"
            taken.add_row(shot.key, str(len(shot.photos)), skew, _note(shot))
        lost = [f"{name} is missing: {cause}" for name, cause in report.missing.items()]
        count = len(report.resumed) + len(report.shots)
        app.show(report, taken, *lost, f"{listed(count, 'shot')}, {len(report.incomplete)} incomplete")
    return DEVICE_FAILED if report.incomplete or report.missing else 0


def _note(shot: ShotSummary) -> Text:
    words = "; ".join(f"{name}: {cause.removeprefix(f'{name}: ')}" for name, cause in shot.failures.items())
    if words:
        return marked(words, "red")
    changed = [flag for flag in shot.flags if flag != "skew"]
    notes = ["over the rig's skew threshold"] if "skew" in shot.flags else []
    notes += [f"changed: {', '.join(changed)}"] if changed else []
    notes += [f"{shot.retry_of} again"] if shot.retry_of else []
    return marked("; ".join(notes), "yellow")


@cli.command()
@rig_option
@pass_app
def simulate(app: App, rig: str) -> None:
    """Run a rig's simulated devices until Ctrl-C, for other programs to use.

    Other dpedkit commands use the running devices instead of starting their own.

    \b
    dpedkit simulate --rig tripod &
    adb connect 127.0.0.1:PORT && adb shell date +%s%N
    gphoto2 --port ptpip:127.0.0.1:PORT --capture-image-and-download
    """
    from dpedkit.stages.rigs import run_simulated

    with suppress(KeyboardInterrupt):  # this is how it is meant to end
        run_simulated(app.workspace, rig, lambda addresses: app.show(addresses, *_lines(addresses)))


def _lines(addresses: dict[str, str]) -> list[str]:
    return [f"{name:12} {address}" for name, address in addresses.items()] + ["running; Ctrl-C stops them"]
