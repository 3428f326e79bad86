"""dpedkit devices, capture, simulate."""

from __future__ import annotations

from contextlib import suppress

import click

from dpedkit.cli.app import App, cli, listed, marked, pass_app, table

DEVICE_FAILED = 4

rig_option = click.option("--rig", default="tripod", show_default=True, help="Name of a file in rigs/.")


@cli.command()
@rig_option
@pass_app
def devices(app: App, rig: str) -> int:
    """List a rig's devices: who they are, how they feel, how far their clocks are off."""
    from dpedkit.stages.capture import find_devices

    reports = find_devices(app.workspace, rig)
    found = table("device", "role", "address", "camera", "battery", "free", "clock offset")
    for report in reports:
        if report.info is None:
            cause = report.error.cause if report.error else ""
            found.add_row(report.name, report.role, report.address, marked(cause, "red"))
            continue
        battery = "" if report.info.battery_percent is None else f"{report.info.battery_percent}%"
        free = "" if report.info.free_bytes is None else f"{report.info.free_bytes / 1e9:.1f} GB"
        clock = f"{report.clock.offset_ns / 1e6:+.1f} ± {report.clock.bound_ns / 1e6:.1f} ms" if report.clock else ""
        camera = f"{report.info.make} {report.info.model}"
        found.add_row(report.name, report.role, report.address, camera, battery, free, clock)
    remedies = [report.error.remedy for report in reports if report.error and report.error.remedy]
    app.show(reports, found, *dict.fromkeys(remedies))
    return DEVICE_FAILED if any(report.error for report in reports) else 0


@cli.command()
@rig_option
@click.option("--shots", type=click.IntRange(1), default=1, show_default=True, help="How many times to fire.")
@click.option("--interval", type=click.FloatRange(0), default=0.0, metavar="S", help="Seconds from shot to shot.")
@click.option("--scene", default="", metavar="NAME", help="A name for what is photographed.")
@pass_app
def capture(app: App, rig: str, shots: int, interval: float, scene: str) -> int:
    """Fire every camera of the rig together and store the photos.

    \b
    dpedkit capture --rig tripod --shots 8
    dpedkit capture --rig tripod --shots 20 --interval 5 --scene garden
    """
    from dpedkit.stages.capture import run_session

    app.go_on = "the photos taken are kept: `dpedkit status` shows them, and the same command takes more"
    report = run_session(app.workspace, rig, shots=shots, interval_s=interval, scene=scene, progress=app.progress())
    taken = table("shot", "photos", "skew", "")
    for shot in report.shots:
        skew = "" if shot.skew_ms is None else f"{shot.skew_ms:.0f} ± {shot.skew_bound_ms:.0f} ms"
        words = "; ".join(f"{name}: {cause}" for name, cause in shot.failures.items())
        note = marked(words, "red")
        if shot.over_threshold and not words:
            note = marked("over the rig's skew threshold", "yellow")
        taken.add_row(shot.key, str(len(shot.photos)), skew, note)
    app.show(report, taken, f"{listed(len(report.shots), 'shot')}, {len(report.incomplete)} incomplete")
    return DEVICE_FAILED if report.incomplete else 0


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
    from dpedkit.stages.capture import run_simulated

    with suppress(KeyboardInterrupt):  # this is how it is meant to end
        run_simulated(app.workspace, rig, lambda addresses: app.show(addresses, *_lines(addresses)))


def _lines(addresses: dict[str, str]) -> list[str]:
    return [f"{name:12} {address}" for name, address in addresses.items()] + ["running; Ctrl-C stops them"]
