"""Which split each shot belongs to."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from dpedkit.db.records import SplitName
from dpedkit.errors import SettingsError

SPLITS: tuple[SplitName, ...] = ("test", "val", "train")  # test is filled first where shares leave a choice
DEFAULT_SHARES: Mapping[SplitName, float] = {"train": 0.7, "val": 0.1, "test": 0.2}


def assign_splits(
    shots: Iterable[str],
    existing: Mapping[str, SplitName],
    seed: int,
    shares: Mapping[SplitName, float] = DEFAULT_SHARES,
    groups: Mapping[str, str] | None = None,
) -> dict[str, SplitName]:
    """Return the split of every shot that has none yet; what `existing` says is never touched.

    A group goes to one split as a whole. New shots of a group whose others have a split get that one; where the others
    are in several splits already, new ones get none: they would leak, wherever they went.

    The other groups come in an order drawn by `seed` and their shots' keys, the largest first, and each goes to the
    split that is furthest below its share. Where no two shots are grouped, the counts stay within two of the shares
    however many shots are added at a time, and from four shots on every split with a share holds at least one.

    shots     keys of all shots; those in `existing` are skipped
    shares    share of each split; they sum to 1
    groups    shot -> group; None: each shot is one

    Raises:
        SettingsError: shares that do not sum to 1, or are negative.
    """
    if set(shares) != set(SPLITS) or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise SettingsError(
            f"split shares {dict(shares)} do not sum to 1", "give train, val and test, such as 0.7 0.1 0.2"
        )
    new: dict[str, list[str]] = {}
    fixed: dict[str, set[SplitName]] = {}
    for shot in sorted({*shots, *existing}):
        of = groups.get(shot, shot) if groups else shot
        if shot in existing:
            fixed.setdefault(of, set()).add(existing[shot])
        else:
            new.setdefault(of, []).append(shot)
    counts = Counter(existing.values())
    assigned: dict[str, SplitName] = {}
    for of in [of for of in new if of in fixed] + sorted(
        new.keys() - fixed.keys(), key=lambda of: _turn(seed, new[of])
    ):
        if len(fixed.get(of, ())) > 1:
            continue
        split = next(iter(fixed[of])) if of in fixed else _neediest(counts, shares, len(new[of]))
        assigned |= dict.fromkeys(new[of], split)
        counts[split] += len(new[of])
    return assigned


def _turn(seed: int, shots: list[str]) -> tuple[int, bytes]:
    """Return what a group's turn is ordered by."""
    return -len(shots), hashlib.sha256(f"{seed} {min(shots)}".encode()).digest()


def _neediest(counts: Mapping[SplitName, int], shares: Mapping[SplitName, float], more: int) -> SplitName:
    """Return the split that `more` shots should go to."""
    total = sum(counts.values()) + more
    empty = [split for split in SPLITS if shares[split] > 0 and not counts[split]]
    if more == 1 and empty and len(empty) >= 5 - total:  # the last chance that none is empty after the fourth shot
        return empty[0]
    return max(SPLITS, key=lambda split: (shares[split] > 0, round(shares[split] * total - counts[split], 9)))
