"""Which photos of several cameras were taken together, and of every photo that stays alone, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dpedkit.errors import UsageError
from dpedkit.stages.takes import Take

PairBy = Literal["auto", "time", "name", "order"]
DSLR = "dslr"


@dataclass(frozen=True, slots=True)
class Group:
    """The photos of one shot.

    photos   by device
    apart_s  by phone: by how much its photo's time differs from the DSLR's, the clocks set against each other
    """

    label: str
    photos: Mapping[str, Take]
    apart_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clock:
    """How a phone's clock stood to the DSLR's, as the photos tell.

    offset_s   phone minus DSLR, known to +- bound_s
    drift_ppm  how much faster the phone's runs
    within_s   photos further apart than this are not of one shot
    pairs      how many photos it is from
    chosen_by  "time", or "content" where several offsets explain the times as well
    """

    phone: str
    offset_s: float
    bound_s: float
    drift_ppm: float
    within_s: float
    pairs: int
    chosen_by: str = "time"


@dataclass(slots=True)
class Pairing:
    """Shots, in order of the DSLR's photos; photos that stay alone, each with the reason; what the times told."""

    groups: list[Group] = field(default_factory=list)
    unpaired: dict[str, str] = field(default_factory=dict)
    clocks: list[Clock] = field(default_factory=list)


@dataclass(slots=True)
class Partners:
    """What one phone's photos and the DSLR's have found of each other.

    pairs    index of the DSLR's photo -> index of the phone's
    apart_s  index of the DSLR's photo -> difference of times
    why      index of a phone's photo without partner -> the reason
    why_dslr  index of a DSLR's photo without partner -> the reason
    """

    pairs: dict[int, int] = field(default_factory=dict)
    apart_s: dict[int, float] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)
    why_dslr: dict[int, str] = field(default_factory=dict)
    clock: Clock | None = None


def by_order(takes: Mapping[str, Sequence[Take]]) -> Pairing:
    """Pair the first with the first, and so on, in order of file names.

    Raises:
        UsageError: folders of different lengths.
    """
    if len({len(found) for found in takes.values()}) > 1:
        counts = ", ".join(f"{name} {len(found)}" for name, found in takes.items())
        raise UsageError(f"pairing by order needs equally many photos of each camera: {counts}", "use --pair-by name")
    rows = zip(*takes.values(), strict=True)
    return Pairing([Group(row[0].path.name, dict(zip(takes, row, strict=True))) for row in rows])


def by_name(takes: Mapping[str, Sequence[Take]]) -> Pairing:
    """Pair files of the same name up to the suffix, in whatever case."""
    stems = {name: {take.path.stem.lower(): index for index, take in enumerate(own)} for name, own in takes.items()}
    partners: dict[str, Partners] = {}
    for phone, own in stems.items():
        if phone != DSLR:
            pairs = {index: own[stem] for stem, index in stems[DSLR].items() if stem in own}
            left = {index: "no DSLR photo of this name" for stem, index in own.items() if stem not in stems[DSLR]}
            partners[phone] = Partners(pairs, why=left)
    return grouped(takes, partners, alone="no phone photo of this name")


def grouped(takes: Mapping[str, Sequence[Take]], partners: Mapping[str, Partners], alone: str = "") -> Pairing:
    """Return what all phones' partners make together.

    alone  why a DSLR photo has no partner; "": as the phones' own reasons say
    """
    pairing = Pairing(clocks=[found.clock for found in partners.values() if found.clock])
    for index, take in enumerate(takes[DSLR]):
        found = {phone: takes[phone][own.pairs[index]] for phone, own in partners.items() if index in own.pairs}
        if found:
            apart = {phone: partners[phone].apart_s[index] for phone in found if index in partners[phone].apart_s}
            pairing.groups.append(Group(take.path.stem, {DSLR: take, **found}, apart))
        else:
            told = [f"{phone}: {own.why_dslr[index]}" for phone, own in partners.items() if index in own.why_dslr]
            pairing.unpaired[str(take.path)] = alone or "; ".join(told)
    for phone, own in partners.items():
        pairing.unpaired |= {str(takes[phone][index].path): why for index, why in own.why.items()}
    return pairing
