"""What `dpedkit capture` shows while it runs: a live table on a terminal, a line per shot elsewhere, or JSON events."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dpedkit.capture.camera import CameraInfo
from dpedkit.capture.events import DeviceNews, Event, Failed, Notice, Planned, Settled, Stored, Stray
from dpedkit.capture.shot import ShotResult
from dpedkit.cli.app import as_json

_STYLES = {"ready": "green", "waiting": "cyan", "pulling": "cyan", "lost": "red"}


@contextmanager
def watching(*, as_json: bool, quiet: bool, shots: int) -> Iterator[Callable[[Event], None]]:
    """Yield what a session tells its events to.

    shots  how many are wanted
    """
    if as_json:
        yield _write_json
    elif quiet:
        yield lambda _event: None
    elif sys.stderr.isatty():
        view = LiveView(shots)
        with Live(get_renderable=view.draw, console=Console(stderr=True), refresh_per_second=4) as live:
            view.say = live.console.print
            yield view.hear
    else:
        yield Lines().hear


def _write_json(event: Event) -> None:
    """Print an event as one line of JSON."""
    what = _flat(event)
    told = {field.name: getattr(what, field.name) for field in fields(what)}
    click.echo(as_json({"event": type(event).__name__.lower(), "at_ns": time.time_ns(), **told}))


class Lines:
    """A line for each shot, and for each thing that goes wrong."""

    def hear(self, event: Event) -> None:
        """Print what an event says."""
        line = one_line(event)
        if line:
            click.echo(line, err=True)


@dataclass(slots=True)
class _Row:
    state: str = "opening"
    info: CameraInfo | None = None
    lag_ms: float | None = None
    skew_ms: float | None = None
    waiting: int = 0
    why: str = ""


class LiveView:
    """One table for the whole session: a row per device, the shot of the moment below it."""

    def __init__(self, shots: int) -> None:
        self.say: Callable[..., None] = print
        self._shots = shots
        self._settled: set[int] = set()
        self._rows: dict[str, _Row] = {}
        self._planned: Planned | None = None
        self._last: ShotResult | None = None
        self._began_s = time.monotonic()

    def hear(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Planned():
                self._planned = event
                self._rows = {device: self._row(device) for device in event.clocks}  # in the rig's order
            case Stored(photo) if photo.shutter and photo.release:
                self._row(photo.device).lag_ms = (photo.shutter.t_ns - photo.release.earliest_ns) / 1e6
            case DeviceNews(device, state, waiting, info, why):
                row = self._row(device)
                row.state, row.waiting, row.info, row.why = state, waiting, info or row.info, why
            case Settled(result):
                self._settle(result)
            case _:
                pass
        if isinstance(event, Failed | Stray | Notice):
            self.say(Text(one_line(event), style="red" if isinstance(event, Failed) else "yellow"))

    def draw(self) -> Group:
        """Return what the terminal shows now."""
        table = Table(box=None, pad_edge=False)
        for header in ("device", "state", "battery", "free", "latency", "shutter", "to pull"):
            table.add_column(header, justify="left" if header in ("device", "state") else "right")
        for name, row in self._rows.items():
            info = row.info
            table.add_row(
                name,
                Text(f"{row.state} {row.why}".strip(), style=_STYLES.get(row.state, "")),
                "" if info is None or info.battery_percent is None else f"{info.battery_percent}%",
                "" if info is None or info.free_bytes is None else f"{info.free_bytes / 1e9:.1f} GB",
                "" if row.lag_ms is None else f"{row.lag_ms:.0f} ms",
                "" if row.skew_ms is None else f"{row.skew_ms:+.0f} ms",
                str(row.waiting or ""),
            )
        return Group(table, self._foot())

    def _foot(self) -> Text:
        if self._planned is None:
            return Text("opening the devices ...", style="dim")
        plan = self._planned.plan
        left_s = plan.at_ns / 1e9 - time.time()
        words = f"shot {plan.number}"
        if left_s > 0.5:
            words += f" in {left_s:.0f} s"
        if self._settled:
            words += f"  ·  {len(self._settled)} of {self._shots} done"
        if len(self._settled) > 1:
            each_s = (time.monotonic() - self._began_s) / (len(self._settled) - 1)
            rest = max(0, self._shots - len(self._settled))
            words += f"  ·  {each_s:.1f} s each, {rest * each_s:.0f} s left"
        if self._last and self._last.skew:
            skew = self._last.skew
            words += f"  ·  last skew {skew.spread_ns / 1e6:.0f} ± {skew.bound_ns / 1e6:.0f} ms"
        return Text(words, style="bold")

    def _settle(self, result: ShotResult) -> None:
        if not self._settled:
            self._began_s = time.monotonic()
        self._settled.add(result.plan.number)
        self._last = result
        shutters = {photo.device: photo.shutter.t_ns for photo in result.photos if photo.shutter}
        for device, t_ns in shutters.items():
            self._row(device).skew_ms = (t_ns - min(shutters.values())) / 1e6

    def _row(self, device: str) -> _Row:
        return self._rows.setdefault(device, _Row())


def one_line(event: Event) -> str:
    """Return what an event says to somebody who reads a log; "" where it says nothing to them."""
    match event:
        case Settled(result):
            skew = result.skew
            words = f"shot {result.plan.number}: {len(result.photos)} photos"
            if skew:
                words += f", skew {skew.spread_ns / 1e6:.0f} ± {skew.bound_ns / 1e6:.0f} ms"
            return f"{words}, {result.status}" if result.failures else words
        case Failed(device, number, error):
            return f"shot {number}: {device}: {error.cause.removeprefix(f'{device}: ')}"
        case Stray(device, photo, why):
            return f"{device}: {photo.path} stays there: {why}"
        case Notice(device, text):
            return f"{device}: {text.removeprefix(f'{device}: ')}"
        case DeviceNews(device, "lost", _, _, why):
            return f"{device}: lost: {why}"
    return ""


def _flat(event: Event) -> Any:
    """Return an event as it should stand in JSON: results without each photo's header, errors in two lines."""
    match event:
        case Settled(result):
            return _Result.of(result)
        case Failed(device, number, error):
            return _Failure(device, number, {"cause": error.cause, "remedy": error.remedy})
    return event


@dataclass(frozen=True, slots=True)
class _Failure:
    device: str
    number: int
    error: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Result:
    number: int
    scene: str
    status: str
    retry_of: int | None
    skew_ns: int | None
    skew_bound_ns: int | None
    photos: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, result: ShotResult) -> _Result:
        plan, skew = result.plan, result.skew
        return cls(
            plan.number,
            plan.scene,
            result.status,
            plan.retry_of,
            skew.spread_ns if skew else None,
            skew.bound_ns if skew else None,
            [photo.path.name for photo in result.photos],
            {name: error.cause for name, error in result.failures.items()},
        )
