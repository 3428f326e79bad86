"""Preference studies: how often 95% intervals hold the truth, in simulated studies of subjects who differ.

Subjects differ by 0.7 logit (standard deviation) and answer 24 times to each comparison of three methods: 12 scenes,
twice. The truth is the share of endless subjects' answers on the same scenes, and the Bradley-Terry score that fits
those shares. The baseline is Wilson's interval, as if answers were independent: what a share's plain binomial test
promises. Shares are of 1,000 studies each, scores of 200, so that chance alone moves a share by 0.7 points and a score
by 1.5 (one standard error). Simulated subjects differ as the model says; people may differ otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from measure import Figure, Findings
from study_coverage import scores_held, shares_held

from dpedkit.stages.study.shares import subjects_needed

SD, STUDIES, OF_SCORES = 0.7, 1000, 200
POSTER: Mapping[str, float] = {"net": 1.1, "dslr": 1.2}
"""The poster's case: enhanced photos far above the phone's, and nearly level with the DSLR's."""

CASES: Mapping[str, tuple[Mapping[str, float], int]] = {
    "the poster's case, 40 subjects": (POSTER, 40),
    "all alike, 40 subjects": ({}, 40),
    "nearly all for one, 40 subjects": ({"net": 2.5, "dslr": 3.5}, 40),
    "the poster's case, 100 subjects": (POSTER, 100),
}
WANTED, ANSWERS = 0.05, 24


def run() -> Findings:
    """Simulate, and count."""
    figures = [figure for name, case in CASES.items() for figure in _shares(name, *case)]
    scores = scores_held(POSTER, sd=SD, subjects=40, studies=OF_SCORES, seed=1)
    figures += [
        _held(f"score of {method}, the poster's case, 40 subjects", value, None) for method, value in scores.items()
    ]
    figures.append(
        Figure("the most that any of these held", [max(figure.ours[0] for figure in figures)], "%", target="<= 97")
    )
    planned = subjects_needed(WANTED, ANSWERS, SD)
    alike = shares_held({}, sd=SD, subjects=planned, studies=200, seed=2)
    halves = [held.half_width for held in alike.values()]
    figures.append(
        Figure(f"half an interval's width with the {planned} subjects planned for 0.05", halves, target="<= 0.0525")
    )
    return Findings(figures)


def _shares(name: str, strengths: Mapping[str, float], subjects: int) -> list[Figure]:
    found = shares_held(strengths, sd=SD, subjects=subjects, studies=STUDIES, seed=0)
    return [_held(f"share of {pair}, {name}", held.clustered, held.independent) for pair, held in found.items()]


def _held(name: str, ours: float, independent: float | None) -> Figure:
    baseline = [] if independent is None else [100 * independent]
    return Figure(name, [100 * ours], "%", baseline, better="more", target=">= 92")
