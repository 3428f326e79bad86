"""Pair photos by the times in their EXIF; what times leave open is for whoever can look at the photos."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

import numpy as np

from dpedkit.errors import UsageError
from dpedkit.stages.pairing import DSLR, Clock, Pairing, Partners, grouped
from dpedkit.stages.pairing_times import ClockFit, match_times
from dpedkit.stages.takes import Take
from dpedkit.types import F64

_EPOCH = datetime(1970, 1, 1)  # cameras' clocks know no time zone


_Side: TypeAlias = tuple[Sequence[Take], F64, Mapping[int, int]]
"""A camera's photos, when the phone's clock says they were taken, and their partners."""


class Onlooker(Protocol):
    """Somebody who looks at the photos where their times do not tell."""

    def choose(self, dslr: Sequence[Take], phone: Sequence[Take], fits: Sequence[ClockFit]) -> int | None:
        """Return which of several fits pairs photos that show the same; None where that cannot be seen."""
        ...

    def match(self, dslr: Sequence[Take], phone: Sequence[Take], partners: Partners) -> None:
        """Find partners among the photos that have none, of which at least one has no time."""
        ...


def by_time(takes: Mapping[str, Sequence[Take]], within_s: float, onlooker: Onlooker | None) -> Pairing:
    """Pair each phone's photos with the DSLR's by their times, the clocks set against each other.

    onlooker  who is asked where the times do not tell; None: nobody

    Raises:
        UsageError: several offsets between two clocks explain the times as well, and nobody can tell them apart.
    """
    in_time = sorted(takes[DSLR], key=lambda take: (take.taken_at is None, take.taken_at or _EPOCH))
    takes = {**takes, DSLR: in_time}  # names start again at 0001 some day: shots are numbered as they were taken
    partners = {}
    for phone, own in takes.items():
        if phone != DSLR:
            partners[phone] = _partners(takes[DSLR], own, phone, within_s, onlooker)
            if onlooker is not None:
                onlooker.match(takes[DSLR], own, partners[phone])
    return grouped(takes, partners)


def _partners(
    dslr: Sequence[Take], phone: Sequence[Take], name: str, within_s: float, onlooker: Onlooker | None
) -> Partners:
    timed = [[index for index, take in enumerate(own) if take.taken_at is not None] for own in (dslr, phone)]
    ours, theirs = [dslr[index] for index in timed[0]], [phone[index] for index in timed[1]]
    times = [np.array([_seconds(take) for take in own]) for own in (ours, theirs)]
    found = Partners(
        why=dict.fromkeys(set(range(len(phone))) - set(timed[1]), "no time in its EXIF"),
        why_dslr=dict.fromkeys(set(range(len(dslr))) - set(timed[0]), "no time in its EXIF"),
    )
    step_s = max((float(np.median([take.step_s for take in own])) for own in (ours, theirs) if own), default=1.0)
    match = match_times(times[0], times[1], step_s=step_s, within_s=within_s)
    if match.best is None:
        found.why |= dict.fromkeys(timed[1], "no DSLR photo has a time in its EXIF")
        found.why_dslr |= dict.fromkeys(timed[0], "no photo of it has a time in its EXIF")
        return found
    choice: int | None = 0
    if match.verdict != "clear":
        choice = onlooker.choose(ours, theirs, match.fits) if onlooker is not None else None
    if choice is None:
        raise _unclear(name, match.fits, looked=onlooker is not None)
    fit, chosen_by = match.fits[choice], "time" if match.verdict == "clear" else "content"
    found.clock = Clock(name, fit.offset_s, fit.bound_s, fit.drift_ppm, fit.within_s, len(fit.pairs), chosen_by)
    pairs = {int(our): int(their) for our, their in fit.pairs}
    found.pairs = {timed[0][our]: timed[1][their] for our, their in pairs.items()}
    found.apart_s = dict(zip(found.pairs, fit.differences_s.tolist(), strict=True))
    shown = fit.on_phone(times[0])
    back = {their: our for our, their in pairs.items()}
    reasons = _alone("no DSLR photo", (theirs, times[1], back), (ours, shown, pairs), fit.within_s)
    found.why |= {timed[1][index]: reason for index, reason in reasons.items()}
    reasons = _alone("no photo of it", (ours, shown, pairs), (theirs, times[1], back), fit.within_s)
    found.why_dslr |= {timed[0][index]: reason for index, reason in reasons.items()}
    return found


def _seconds(take: Take) -> float:
    return (take.taken_at - _EPOCH).total_seconds() if take.taken_at is not None else 0.0


def _alone(nothing: str, own: _Side, other: _Side, within_s: float) -> dict[int, str]:
    """Say of each photo without partner which of the other camera's was nearest, and why it is not its."""
    (takes, times, pairs), (others, other_times, other_pairs) = own, other
    order = np.argsort(other_times, kind="stable")
    ascending = other_times[order].tolist()
    reasons: dict[int, str] = {}
    for index in sorted(set(range(len(takes))) - set(pairs)):
        place = _nearest(ascending, float(times[index]))
        nearest = int(order[place])
        apart_s, name = abs(ascending[place] - float(times[index])), others[nearest].path.name
        if apart_s <= within_s and nearest in other_pairs:
            taker = takes[other_pairs[nearest]].path.name
            reasons[index] = f"{name}, {spoken(apart_s)} from it, goes with {taker}"
        else:
            reasons[index] = f"{nothing} within {within_s:.1f} s of it (nearest: {name}, {spoken(apart_s)})"
    return reasons


def _nearest(ascending: Sequence[float], value: float) -> int:
    right = bisect_left(ascending, value)
    around = [index for index in (right - 1, right) if 0 <= index < len(ascending)]
    return min(around, key=lambda index: abs(ascending[index] - value))


def spoken(seconds: float) -> str:
    """Return a length of time as people say it: "0.3 s", "41 s", "2 min 5 s", "3 h 4 min", "5 d 1 h"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def _unclear(name: str, fits: Sequence[ClockFit], *, looked: bool) -> UsageError:
    seen = ", and the photos look too much alike to tell" if looked else ""
    offsets = ", ".join(f"{fit.offset_s:+.1f} s ({len(fit.pairs)} pairs)" for fit in fits[:3])
    return UsageError(
        f"{name}: its clock may be off by any of {offsets}: the times fit as well (regular intervals?){seen}",
        "if both cameras took every shot, use --pair-by order; else give pairs the same file name: --pair-by name",
    )
