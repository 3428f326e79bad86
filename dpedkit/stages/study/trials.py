"""Which pairs a study shows, before there are pictures of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from dpedkit.stages.study.plan import DEGRADED, Kind, StudyMethod

_CATCH_SHARE = 0.1
_FEWEST_CATCH = 4  # of which one slip is not yet too many by the plan's rules
TRAINING = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A trial without its pictures."""

    kind: Kind
    scene: str
    methods: tuple[str, str]
    again: int = 0


def all_comparisons(methods: Sequence[StudyMethod]) -> list[tuple[str, str]]:
    """Return every pair of methods: each run over the phone, then against the DSLR, then the others."""
    names = {kind: [method.name for method in methods if method.kind == kind] for kind in ("phone", "enhanced", "dslr")}
    over_phone = list(product(names["enhanced"], names["phone"]))
    against_dslr = list(product(names["enhanced"], names["dslr"]))
    return [*over_phone, *against_dslr, *product(names["dslr"], names["phone"]), *combinations(names["enhanced"], 2)]


def lay_out(
    comparisons: Sequence[tuple[str, str]],
    methods: Sequence[StudyMethod],
    *,
    scenes: Sequence[str],
    training: Sequence[str],
    repeats: int,
    seed: int,
) -> list[Slot]:
    """Return all trials: training, every comparison on every scene as often as asked, and one catch trial to ten.

    No picture is spoilt twice: there are at most as many catch trials as scenes times methods.
    """
    rng = random.Random(seed)
    slots = [Slot("training", scene, comparisons[index % len(comparisons)]) for index, scene in enumerate(training)]
    for again in range(repeats):
        kind: Kind = "repeat" if again else "test"
        slots += [Slot(kind, scene, pair, again) for scene in scenes for pair in comparisons]
    tests = len(slots) - len(training)
    best_first = [method.name for method in reversed(methods)]
    spoilable = [(name, scene) for name in best_first for scene in rng.sample(scenes, len(scenes))]
    catch = spoilable[: max(round(tests * _CATCH_SHARE), _FEWEST_CATCH)]
    return slots + [Slot("catch", scene, (name, DEGRADED)) for name, scene in catch]
