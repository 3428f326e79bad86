"""Preference studies: how often 95% intervals hold the truth, in simulated studies of subjects who differ.

Subjects differ by 0.7 logit (standard deviation) and answer 24 times to each comparison of three methods: 12 scenes,
twice. The truth is the share of endless subjects' answers on the same scenes, and the Bradley-Terry score that fits
those shares. Shares are of 1,000 studies to each case, scores of 200, so that chance alone moves a share by 0.7 points
and a score by 1.5 (one standard error). "If independent" is Wilson's interval over all answers, which stands beside
ours in reports. Simulated subjects differ as the model says; people may differ otherwise.
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
    rows = [["case", "share of", "held", "if independent", "half an interval, median"]]
    held: list[float] = []
    for name, (strengths, subjects) in CASES.items():
        for pair, each in shares_held(strengths, sd=SD, subjects=subjects, studies=STUDIES, seed=0).items():
            held.append(100 * each.clustered)
            cells = [f"{100 * each.clustered:.1f}%", f"{100 * each.independent:.1f}%", f"{each.half_width:.3f}"]
            rows.append([name, pair, *cells])
    scores = scores_held(POSTER, sd=SD, subjects=40, studies=OF_SCORES, seed=1)
    planned = subjects_needed(WANTED, ANSWERS, SD)
    alike = shares_held({}, sd=SD, subjects=planned, studies=200, seed=2)
    halves = [each.half_width for each in alike.values()]
    return Findings(
        [
            Figure(f"shares: the least that any of {len(held)} intervals held", [min(held)], "%", target=">= 92"),
            Figure(f"shares: the most that any of {len(held)} held", [max(held)], "%", target="<= 97"),
            *(Figure(f"score of {method}: held", [100 * each], "%", target=">= 92") for method, each in scores.items()),
            Figure("scores: the most that any held", [100 * max(scores.values())], "%", target="<= 97"),
            Figure(f"half an interval with the {planned} subjects planned for 0.05", halves, target="<= 0.0525"),
        ],
        tables=[rows],
    )
