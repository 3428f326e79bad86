"""dpedkit devices, rig new, rig check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import App, Group, cli, listed, marked, pass_app, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from dpedkit.capture.inspection import DeviceReport
    from dpedkit.capture.preflight import Check
    from dpedkit.stages.rigs import Connected, Overview

DEVICE_FAILED = 4

_COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}
_NOTHING = """nothing is connected by USB. Check that
  a DSLR   is on and awake, its USB mode is PTP, its Wi-Fi is off, and no other program holds it
  a phone  has USB debugging switched on, and was told to trust this computer
`dpedkit doctor` looks for what stands in the way."""


@cli.command()
@click.option("--rig", help="Name of a file in rigs/: only its devices. Left out: all rigs, and all that is on USB.")
@pass_app
def devices(app: App, rig: str | None) -> int:
    """List what is connected, who it is, how it feels, how far its clock is off."""
    from dpedkit.stages.rigs import find_devices, find_everything

    if rig is None:
        overview = find_everything(app.folder)
        app.show(overview, *_overview(overview))
        reports = [report for one in overview.rigs for report in one.devices]
        is_wrong = any(one.error for one in overview.rigs)
    else:
        reports, is_wrong = find_devices(app.workspace, rig), False
        app.show(reports, _reports(reports), *_remedies(reports))
    return DEVICE_FAILED if is_wrong or any(report.error for report in reports) else 0


@cli.group("rig", cls=Group)
def rig_group() -> None:
    """Write and check rig files."""


@rig_group.command("new")
@click.argument("name")
@click.option(
    "--device",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="A device that is not on USB: tcp:HOST:PORT (phone) or ptpip:HOST (DSLR). May be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Print the file instead of writing it.")
@pass_app
def new(app: App, name: str, addresses: tuple[str, ...], dry_run: bool) -> None:
    """Write a rig file for the devices that are connected.

    \b
    dpedkit rig new tripod
    dpedkit rig new tripod --device ptpip:192.168.1.7 --device tcp:192.168.1.8:5555
    """
    from dpedkit.stages.rigs import new_rig

    made = new_rig(app.workspace, name, addresses, dry_run=dry_run)
    left_out = [f"left out: {device}: {why}" for device, why in made.left_out.items()]
    if dry_run:
        app.show(made, made.text)
    else:
        found = listed(len(made.devices), "device", made.devices, most=9)
        app.show(made, f"{made.path}: {found}", *left_out, f"next: dpedkit rig check --rig {name}")


@rig_group.command("check")
@click.option("--rig", default="tripod", show_default=True, help="Name of a file in rigs/.")
@click.option("--shots", type=click.IntRange(1), default=1, show_default=True, help="How many shots need room.")
@pass_app
def check(app: App, rig: str, shots: int) -> int:
    """Apply a rig's settings and say whether each device is fit for a session; nothing is fired."""
    from dpedkit.stages.rigs import check_rig

    checks = check_rig(app.workspace, rig, shots)
    app.show(checks, *check_lines(checks))
    return DEVICE_FAILED if any(one.level == "fail" for one in checks) else 0


def check_lines(checks: Sequence[Check]) -> list[RenderableType]:
    """Return the table of a preflight, and what to do about each line that is not green."""
    lines = table("device", "", "topic", "found", "wanted", "what to do")
    for one in checks:
        remedy = one.remedy if one.level != "ok" else ""
        lines.add_row(one.device, marked(one.level, _COLORS[one.level]), one.topic, one.found, one.wanted, remedy)
    failed = sum(one.level == "fail" for one in checks)
    verdict = f"not fit: {listed(failed, 'check')} failed" if failed else "fit for a session"
    return [lines, marked(verdict, "red" if failed else "green")]


def _overview(overview: Overview) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if overview.connected:
        parts.append(_connected(overview.connected))
    elif not overview.rigs:
        parts.append(_NOTHING)
    else:
        parts.append("nothing is connected by USB")
    parts += [marked(f"{name} cannot look:", "yellow", why) for name, why in overview.blind.items()]
    for rig in overview.rigs:
        parts += ["", f"rig {rig.name}"]
        if rig.error:
            parts.append(marked(f"{rig.error.cause}; {rig.error.remedy}", "red"))
        else:
            parts += [_reports(rig.devices), *_remedies(rig.devices)]
    return parts


def _connected(found: Sequence[Connected]) -> Table:
    lines = table("on USB", "driver", "address", "")
    for one in found:
        lines.add_row(one.model, one.driver, one.address, marked(one.trouble, "red"))
    return lines


def _reports(reports: Sequence[DeviceReport]) -> Table:
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
    return found


def _remedies(reports: Sequence[DeviceReport]) -> list[str]:
    return list(dict.fromkeys(report.error.remedy for report in reports if report.error and report.error.remedy))
