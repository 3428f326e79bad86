"""What align_pair does with what its lens model does not hold: other lenses, a relief, boards before the scene.

The pairs are those of the section "align" (20 MP and 13 or 3 MP, one thread), but for one thing each. Other lenses: a
division model of two terms in both cameras, or decentering in the phone's. Relief: a smooth landscape whose parallax
moves things by up to 3 px. Boards: four pieces of the scene stand out by 1.5 to 3 px of parallax, with edges. Errors
count where the alignment's confidence is at least 0.5; how much of the overlap that is, and how much of it is off by
more than 0.5 px after all, are rows of their own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import Figure, Findings, alone
from pairs import CASES, Case, Measured, align_ours, error_figures, photograph

SEEDS = {"other lenses": 6, "relief of 3 px": 6, "boards at 3 px": 4}
NAMES = tuple(name for name in CASES if "," in name)


def run() -> Findings:
    """Align every scene of every kind."""
    found: dict[str, list[Measured]] = {name: [] for name in NAMES}
    for seed in range(max(SEEDS.values())):
        for size in ("13 MP", "3 MP"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                kinds = [f"{size}, {kind}" for kind, seeds in SEEDS.items() if seed < seeds]
                alone(photograph, folder, kinds, seed)
                for kind in kinds:
                    found[kind].append(alone(align_ours, folder / kind))
    return Findings([figure for name in NAMES for figure in case_figures(CASES[name], found[name])])


def case_figures(case: Case, found: list[Measured]) -> list[Figure]:
    """Return what one kind costs, how close it comes, and where."""
    return [
        Figure(f"{case.name}: CPU time", [each.call.cpu_s for each in found], "s"),
        Figure(f"{case.name}: peak memory", [each.call.peak_mb for each in found], "MB", target="<= 400"),
        *error_figures(case.name, [each.errors for each in found], case.targets),
        Figure(f"{case.name}: share of the overlap that is trusted", [each.share for each in found], better="more"),
        Figure(f"{case.name}: share of that which is off by more than 0.5 px", [each.wrong for each in found]),
    ]
