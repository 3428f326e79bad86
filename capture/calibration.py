"""What calibration finds out about a device: how long its shutter takes to open, and how it stamps its photos.

A device's lag runs from the release command to the open shutter; its stamp lag from the shutter to the time that it
writes into the photo. The stamps alone tell only the sum of the two. A photographed clock board (clock_board.py) tells
when the shutter was open on the host's clock, and so tells them apart. Pure: nothing is photographed here.

What the screen adds to the board's time is the same for all cameras: every lag comes out too short by it and every
stamp lag too long, and the rig fires together all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from dpedkit.capture.rig import Device, Rig
from dpedkit.capture.shot import STAMP_LAG_NS, UNKNOWN_STAMP_LAG, StampLag
from dpedkit.capture.times import Window
from dpedkit.capture.worker import Handling
from dpedkit.errors import SettingsError
from dpedkit.files import storage_error, write_atomic
from dpedkit.settings import Table, check
from dpedkit.types import F64

LEAST_SIGHTINGS = 5
"""Fewer tell nothing."""
EARLIEST_NS, LATEST_NS = -1_000_000_000, 5_000_000_000
"""A board that is photographed longer before or after the release command runs on another clock than ours."""
_GRID_NS = 20_000
_STRAY_NS = 500_000_000
"""A stamp this far from the others belongs to another photo."""
_SURPRISE = 1e-4
"""How likely a sighting is to be wrong: a screen that skipped a frame, a camera that stamps unsteadily."""
_CREDIBLE = 6.0
"""Values whose log-likelihood is less than this below the best one's are not ruled out."""
_COARSE_NS = 50_000_000
"""Stamps in steps longer than this tell little one by one."""


class Calibration(Table):
    """What is known of one device.

    driver, trigger  it holds for these
    lag_ms           from the release command to the open shutter; from `source` "stamps": to the stamped time
    lag_spread_ms    how much that varies from shot to shot: standard deviation, robust
    stamp_lag_ms     stamped time minus shutter; None: unknown
    stamp_bound_ms   worst-case error of stamp_lag_ms
    shots            how many went into it
    measured         when, ISO 8601
    """

    device: str
    driver: str
    trigger: str
    lag_ms: float
    lag_spread_ms: float = Field(ge=0)
    stamp_lag_ms: float | None = None
    stamp_bound_ms: float | None = Field(default=None, ge=0)
    shots: int = Field(ge=1)
    measured: datetime
    source: Literal["clock", "stamps"]

    def fits(self, device: Device) -> bool:
        """Return whether it holds for a device as its rig file has it now."""
        return (self.device, self.driver, self.trigger) == (device.name, device.driver, device.trigger)

    @property
    def handling(self) -> Handling:
        """How to fire that device and read its photos."""
        if self.stamp_lag_ms is None or self.stamp_bound_ms is None:
            return Handling(round(self.lag_ms * 1e6), UNKNOWN_STAMP_LAG)
        stamp = StampLag(round(self.stamp_lag_ms * 1e6), round(self.stamp_bound_ms * 1e6))
        return Handling(round(self.lag_ms * 1e6), stamp)


class _File(Table):
    """A calibration file."""

    calibrations: tuple[Calibration, ...]


def load_calibrations(path: Path) -> dict[str, Calibration]:
    """Return what a file holds, device name -> calibration; nothing if there is no file.

    Raises:
        SettingsError: it is not a calibration file.
        StorageError: it cannot be read.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}", "remove it and run `dpedkit calibrate`") from None
    except OSError as error:
        raise storage_error(error, path) from error
    return {known.device: known for known in check(_File, table, str(path)).calibrations}


def save_calibrations(path: Path, calibrations: Mapping[str, Calibration]) -> None:
    """Write a calibration file, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error
    table = _File(calibrations=tuple(calibrations.values())).model_dump_json(indent=2)
    write_atomic(path, table.encode() + b"\n")


def handlings(rig: Rig, calibrations: Mapping[str, Calibration]) -> dict[str, Handling]:
    """Return how a session handles the devices of a rig for which there is a calibration that holds."""
    known = [(device, calibrations.get(device.name)) for device in rig.devices]
    return {device.name: found.handling for device, found in known if found is not None and found.fits(device)}


def calibration_warnings(rig: Rig, calibrations: Mapping[str, Calibration], now: datetime) -> list[str]:
    """Return one line for each device whose calibration is missing, old, of another trigger, or of stamps only."""
    lines = []
    for device in rig.devices:
        found = calibrations.get(device.name)
        remedy = f"run `dpedkit calibrate --device {device.name}`"
        if found is None:
            lines.append(f"{device.name} is not calibrated; {remedy}")
        elif not found.fits(device):
            was = f"{found.driver} {found.trigger or 'default trigger'}"
            lines.append(f"{device.name} was calibrated with {was}, which it no longer has; {remedy}")
        elif (days := (now - found.measured).total_seconds() / 86400) > rig.thresholds.calibration_days:
            lines.append(f"{device.name} was calibrated {days:.0f} days ago; {remedy}")
        elif found.stamp_lag_ms is None:
            allowed_ms = STAMP_LAG_NS / 1e6
            lines.append(
                f"{device.name}: its stamp lag is unknown, its times may be off by {allowed_ms:.0f} ms; {remedy}"
            )
    return lines


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one shot tells of one device.

    commanded_ns  when it was told to give the release command, host wall clock
    stamp         when it says that it took the photo, brought to the host's clock; None where it does not
    board         when its shutter was open as the board in the photo tells; None where that cannot be read
    """

    commanded_ns: int
    stamp: Window | None
    board: Window | None


def estimate(device: Device, sightings: Sequence[Sighting], measured: datetime | None = None) -> Calibration | None:
    """Return a device's calibration; None where the photos tell neither when they were taken nor what the clock showed.

    measured  when; None: now
    """
    seen = [sighting for sighting in sightings if sighting.board is not None]
    if len(seen) >= LEAST_SIGHTINGS:
        source: Literal["clock", "stamps"] = "clock"
        both = [(sighting.stamp, sighting.board) for sighting in seen if sighting.stamp and sighting.board]
        stamp = stamp_lag(both) if len(both) >= LEAST_SIGHTINGS else None
        told = [_lag_ns(sighting, stamp) for sighting in sightings]
        lags = [lag for lag in told if lag is not None]
    else:
        source, stamp = "stamps", None
        lags = _lags_by_stamps(sightings)
    known = np.array(lags)
    if len(known) < LEAST_SIGHTINGS:
        return None
    return Calibration(
        device=device.name,
        driver=device.driver,
        trigger=device.trigger,
        lag_ms=round(_centre(known) / 1e6, 3),
        lag_spread_ms=round(1.4826 * float(np.median(np.abs(known - np.median(known)))) / 1e6, 3),
        stamp_lag_ms=None if stamp is None else round(stamp.lag_ns / 1e6, 3),
        stamp_bound_ms=None if stamp is None else round(stamp.bound_ns / 1e6, 3),
        shots=len(known),
        measured=(measured or datetime.now(UTC)).replace(microsecond=0),
        source=source,
    )


def stamp_lag(pairs: Sequence[tuple[Window, Window]]) -> StampLag:
    """Return how much later than the shutter a device stamps, from windows (stamp, shutter) of its photos.

    The lag is taken for constant: each photo allows a stretch of it, and it lies in all of them. Within its windows a
    shutter is as likely here as there, so that a lag is as likely as it lets the two windows overlap; the answer is
    the mean over all lags, weighted so. The bound is how far the end of the common stretch is; where there is none,
    for the stamps or the screen are unsteady, it takes in every photo.
    """
    spans = [(stamp.low_ns - shutter.high_ns, stamp.high_ns - shutter.low_ns) for stamp, shutter in pairs]
    middle = float(np.median([(low + high) / 2 for low, high in spans]))
    near = [abs((low + high) / 2 - middle) <= (high - low) / 2 + _STRAY_NS for low, high in spans]
    spans = [span for span, is_near in zip(spans, near, strict=True) if is_near]
    origin = min(low for low, _ in spans)
    lags = np.arange(0, max(high for _, high in spans) - origin + _GRID_NS, _GRID_NS, dtype=np.float64)
    log_likelihood = np.zeros(len(lags))
    for (stamp, shutter), is_near in zip(pairs, near, strict=True):
        if is_near:
            log_likelihood += np.log(_overlap(stamp, shutter, lags, origin) + _SURPRISE)
    weights = np.exp(log_likelihood - log_likelihood.max())
    lag_ns = origin + float((weights * lags).sum() / weights.sum())
    low, high = max(low for low, _ in spans), min(high for _, high in spans)
    if low <= high:
        bound_ns = max(high - lag_ns, lag_ns - low)
    else:
        likely = lags[log_likelihood > log_likelihood.max() - _CREDIBLE] + origin
        missed = max(max(span_low - lag_ns, lag_ns - span_high) for span_low, span_high in spans)
        bound_ns = missed + float(np.abs(likely - lag_ns).max())
    return StampLag(round(lag_ns), int(np.ceil(bound_ns + 2 * _unsteadiness_ns(pairs, near, lag_ns))))


def _unsteadiness_ns(pairs: Sequence[tuple[Window, Window]], near: Sequence[bool], lag_ns: float) -> float:
    """Return the standard deviation of the stamps that their windows' widths do not explain; mostly 0.

    Stamps that shake by less than the windows are wide do not contradict each other; their middles spread all the same.
    """
    good = [pair for pair, is_near in zip(pairs, near, strict=True) if is_near]
    spread = np.mean([(stamp.middle_ns - shutter.middle_ns - lag_ns) ** 2 for stamp, shutter in good])
    widths = [(stamp.high_ns - stamp.low_ns, shutter.high_ns - shutter.low_ns) for stamp, shutter in good]
    explained = np.mean([(a * a + b * b) / 12 for a, b in widths])  # two uniform distributions
    chance = 1 + 2 * np.sqrt(0.8 / len(good))  # what so few shots may show by chance
    return float(np.sqrt(max(0.0, spread - chance * explained)))


def _overlap(stamp: Window, shutter: Window, lags: F64, origin: int) -> F64:
    """Return for each lag which share of the shorter window the two have in common, [0, 1]."""
    low = np.maximum(shutter.low_ns - stamp.low_ns + origin + lags, 0)
    high = np.minimum(shutter.high_ns - stamp.low_ns + origin + lags, stamp.high_ns - stamp.low_ns)
    shorter = max(1, min(stamp.high_ns - stamp.low_ns, shutter.high_ns - shutter.low_ns))
    share: F64 = np.maximum(high - low, 0) / shorter
    return share


def _lag_ns(sighting: Sighting, stamp: StampLag | None) -> float | None:
    """Return from command to shutter, by what is known of one shot."""
    board = sighting.board
    by_stamp = None
    if stamp is not None and sighting.stamp is not None:
        by_stamp = Window(sighting.stamp.low_ns - stamp.lag_ns, sighting.stamp.high_ns - stamp.lag_ns)
    if board is not None and by_stamp is not None:
        both = Window(max(board.low_ns, by_stamp.low_ns), min(board.high_ns, by_stamp.high_ns))
        board = both if both.low_ns <= both.high_ns else board
    opened = board or by_stamp
    return None if opened is None else opened.middle_ns - sighting.commanded_ns


def _lags_by_stamps(sightings: Sequence[Sighting]) -> list[float]:
    """Return from command to stamp; where the steps of the stamps are long, as they say it together."""
    stamps = [(sighting.commanded_ns, sighting.stamp) for sighting in sightings if sighting.stamp is not None]
    if len(stamps) < LEAST_SIGHTINGS or np.median([s.high_ns - s.low_ns for _, s in stamps]) < _COARSE_NS:
        return [float(stamp.middle_ns - commanded_ns) for commanded_ns, stamp in stamps]
    common = stamp_lag([(stamp, Window(commanded_ns, commanded_ns + 1)) for commanded_ns, stamp in stamps])
    lags = [np.clip(c + common.lag_ns, stamp.low_ns, stamp.high_ns) - c for c, stamp in stamps]
    return [float(lag) for lag in lags]


def _centre(values: F64) -> float:
    """Return the median of all pairs' means (Hodges-Lehmann): as steady as the mean, and strays do not move it."""
    means = (values[:, None] + values[None, :]) / 2
    return float(np.median(means[np.triu_indices(len(values))]))
