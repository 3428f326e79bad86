"""Shots to splits so that nothing leaks, and the proof of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from dpedkit.db import Corpus, Link, LinkRules, ShotFacts, find_links, group, open_corpus
from dpedkit.db.splits import assign_splits
from dpedkit.errors import DpedError
from dpedkit.images import read_small
from dpedkit.measures import measure
from dpedkit.stages.frames import rows
from dpedkit.workspace import Workspace

_SMALL_PX = 640


@dataclass(frozen=True, slots=True)
class Leak:
    """Two shots that show the same, in different splits."""

    one: str
    other: str
    splits: tuple[str, str]
    why: str


@dataclass(slots=True, kw_only=True)
class SplitReport:
    """How the shots stand.

    splits      shots by split, after what was assigned now
    assigned    shots that got a split now, or would
    groups      size of a group -> how many there are
    largest     the shots of the largest group, if it has more than one
    held_out    shots without a split: they show the same as shots of several splits -> what they are linked with
    leaks       linked shots in different splits
    unhashed    shots of which no photo has a perceptual hash: not compared with others
    unplaced    shots whose photos do not say where they were taken
    """

    splits: dict[str, int] = field(default_factory=dict)
    assigned: dict[str, str] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    largest: list[str] = field(default_factory=list)
    held_out: dict[str, str] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)
    unhashed: int = 0
    unplaced: int = 0


def split_shots(workspace: Workspace, *, dry_run: bool = False, check: bool = False) -> SplitReport:
    """Give shots without a split one, group by group, and report.

    check  change nothing, and look for leaks among what has a split
    """
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        if not check and not dry_run:
            hash_photos(workspace, corpus)
        return assign(workspace, corpus, writes=not (dry_run or check), proposes=not check)


def assign(workspace: Workspace, corpus: Corpus, *, writes: bool = True, proposes: bool = True) -> SplitReport:
    """Do that in an open corpus whose photos have their hashes."""
    settings = workspace.settings.split
    rules = LinkRules(settings.same_bits, settings.soon_s, settings.soon_bits, settings.place_m)
    facts = shot_facts(corpus)
    links = list(find_links(facts, rules))
    groups = group((fact.key for fact in facts), links)
    shots = corpus.shots()
    before = {row.shot: row.split for row in rows(shots) if isinstance(row.split, str)}
    shares = {"train": settings.train, "val": settings.val, "test": settings.test}
    report = SplitReport(
        unhashed=sum(not fact.hashes for fact in facts), unplaced=sum(fact.place is None for fact in facts)
    )
    if writes:
        report.assigned = dict(corpus.store.assign_splits(settings.seed, shares, groups))  # type: ignore[arg-type]
    elif proposes:
        report.assigned = dict(assign_splits(groups, before, settings.seed, shares, groups))  # type: ignore[arg-type]
    after = before | report.assigned
    sizes = Counter(groups.values())
    report.splits = dict(sorted(Counter(after.values()).items()))
    report.groups = dict(sorted(Counter(sizes.values()).items()))
    largest, size = max(sizes.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    report.largest = sorted(shot for shot, of in groups.items() if of == largest) if size > 1 else []
    report.leaks = [
        Leak(link.one, link.other, (after[link.one], after[link.other]), link.why)
        for link in sorted(links)
        if link.one in after and link.other in after and after[link.one] != after[link.other]
    ]
    report.held_out = _held_out(links, after, proposes=proposes, groups=groups)
    return report


def shot_facts(corpus: Corpus) -> list[ShotFacts]:
    """Return what the corpus knows of every shot that has photos or is to have a split."""
    photos = corpus.photos("picture")
    hashes: dict[str, dict[str, int]] = {}
    places: dict[str, tuple[float, float]] = {}
    times: dict[str, float] = {}
    for photo in rows(photos):
        if isinstance(photo.phash, str):
            hashes.setdefault(photo.shot, {})[photo.device] = int(photo.phash, 16)
        if not (pd.isna(photo.latitude) or pd.isna(photo.longitude)):
            places.setdefault(photo.shot, (photo.latitude, photo.longitude))
        if photo.shot not in times and (taken := _seconds(photo)) is not None:
            times[photo.shot] = taken
    return [
        ShotFacts(
            key=shot.shot,
            session=shot.session,
            retry_of=shot.retry_of if isinstance(shot.retry_of, str) else None,
            taken_s=times.get(shot.shot),
            hashes=hashes.get(shot.shot, {}),
            place=places.get(shot.shot),
        )
        for shot in rows(corpus.shots())
    ]


def hash_photos(workspace: Workspace, corpus: Corpus) -> None:
    """Give pictures that were not measured yet their perceptual hash, from a small copy: that takes no time."""
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    found: dict[str, str] = {}
    for photo in rows(corpus.photos("picture and phash is missing and not width is missing")):
        try:
            found[photo.sha256] = measure(read_small(workspace.root / photo.path, _SMALL_PX, limit_px=limit_px)).phash
        except DpedError:
            continue  # `dpedkit measure` and `fsck` say what is wrong with it
    corpus.store.note_hashes(found)


def _seconds(photo: object) -> float | None:
    """Return when a photo was taken, in seconds of its session's clock."""
    shutter, taken = photo.shutter_ns, photo.taken_at  # type: ignore[attr-defined]
    if not pd.isna(shutter):
        return float(shutter) / 1e9
    try:
        return datetime.fromisoformat(taken).replace(tzinfo=None).timestamp() if taken else None
    except ValueError:
        return None


def _held_out(links: list[Link], after: dict[str, str], *, proposes: bool, groups: dict[str, str]) -> dict[str, str]:
    """Return the shots that no split can take without a leak, each with a shot that it is linked with."""
    if not proposes:
        return {}
    held: dict[str, str] = {}
    for link in links:
        for one, other in ((link.one, link.other), (link.other, link.one)):
            if one not in after:
                held.setdefault(one, f"{other}: {link.why}")
    return {shot: held.get(shot, "") for shot in groups if shot not in after and shot in held}
