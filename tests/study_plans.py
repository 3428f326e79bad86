"""Plans of studies whose pictures nobody looks at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from dpedkit.stages.study.plan import DEGRADED, Scene, StudyMethod, StudyPlan, Trial

METHODS = ("phone", "net", "dslr")


def make_plan(
    *,
    methods: tuple[str, ...] = METHODS,
    pairs: Sequence[tuple[str, str]] = (),
    scenes: int = 8,
    repeats: int = 2,
    catch: int = 4,
    training: int = 3,
) -> StudyPlan:
    """These pairs of methods, or every one, on every scene, `repeats` times."""
    pairs = pairs or list(combinations(methods, 2))
    trials = []

    def add(kind: str, scene: str, pair: tuple[str, str], again: int = 0) -> None:
        pictures = tuple(f"{scene}-{method}.png" for method in pair)
        number = f"{kind}-{len(trials):03d}"
        trials.append(Trial(id=number, kind=kind, scene=scene, methods=pair, pictures=pictures, again=again))  # type: ignore[arg-type]

    for index in range(training):
        add("training", f"t{index}", pairs[index % len(pairs)])
    for again in range(repeats):
        for scene in range(scenes):
            for pair in pairs:
                add("repeat" if again else "test", f"s{scene}", pair, again)
    for index in range(catch):
        add("catch", f"s{index}", (methods[-1], DEGRADED))
    kinds = {"phone": "phone", "dslr": "dslr"}
    return StudyPlan(
        name="demo",
        created="2026-11-27T12:00Z",
        made_by="dpedkit 0.1.0",
        command="dpedkit study new demo",
        seed=7,
        question="Which picture do you like better?",
        phone="sony",
        split="test",
        width=600,
        height=600,
        methods=tuple(StudyMethod(name=name, kind=kinds.get(name, "enhanced"), source=name) for name in methods),  # type: ignore[arg-type]
        comparisons=tuple(pairs),
        scenes=tuple(Scene(shot=f"s{index}", x=0, y=0) for index in range(scenes)),
        trials=tuple(trials),
        half_width=0.05,
        subjects=54,
        assumed_sd=0.7,
    )
