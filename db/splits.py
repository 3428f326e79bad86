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
) -> dict[str, SplitName]:
    """Return the split of every shot that has none yet; what `existing` says is never touched.

    In an order drawn by `seed` and the shots' keys, each shot goes to the split that is furthest below its share, so
    that the counts stay within two of the shares however many shots are added at a time. From four shots on, every
    split with a share holds at least one.

    shots     keys of all shots; those in `existing` are skipped
    shares    share of each split; they sum to 1

    Raises:
        SettingsError: shares that do not sum to 1, or are negative.
    """
    if set(shares) != set(SPLITS) or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise SettingsError(
            f"split shares {dict(shares)} do not sum to 1", "give train, val and test, such as 0.7 0.1 0.2"
        )
    counts = Counter(existing.values())
    assigned: dict[str, SplitName] = {}
    for shot in sorted(set(shots) - set(existing), key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest()):
        assigned[shot] = _neediest(counts, shares)
        counts[assigned[shot]] += 1
    return assigned


def _neediest(counts: Mapping[SplitName, int], shares: Mapping[SplitName, float]) -> SplitName:
    total = sum(counts.values()) + 1
    empty = [split for split in SPLITS if shares[split] > 0 and not counts[split]]
    if empty and len(empty) >= 5 - total:  # the last chance that none is empty after the fourth shot
        return empty[0]
    return max(SPLITS, key=lambda split: round(shares[split] * total - counts[split], 9))
