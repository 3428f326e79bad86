"""What a study's answers say: exclusions first, then shares, scores, and how subjects agreed with themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dpedkit.stages.study.answers import Answer, Given
from dpedkit.stages.study.exclusions import Conduct, judge_subject
from dpedkit.stages.study.plan import StudyPlan
from dpedkit.stages.study.scores import Score, estimate_scores
from dpedkit.stages.study.shares import Share, estimate_share, holm
from dpedkit.types import I64, Json

ALPHA = 0.05
Word = Literal["first preferred", "second preferred", "near chance", "not enough answers", "no answers"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison.

    share     of answers for the first; None: there are none
    p_holm    its p-value among those of all comparisons
    word      what may be said, by limits that the plan fixed
    verdict   the same with names and numbers
    by_scene  of each scene: answers for the first, and all
    """

    first: str
    second: str
    share: Share | None
    p_holm: float | None
    word: Word
    verdict: str
    by_scene: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Statement:
    """One of the two statements of DPED's poster, about a run."""

    text: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Results:
    """All that is reported.

    agreement    share of pairs shown again, on the other side, of which the same method was chosen
    left         share of answers on the left
    simulated    what subjects were simulated with; None: they were people
    """

    subjects: int
    counted: int
    answers: int
    days: tuple[str, str] | None
    comparisons: Sequence[Comparison]
    statements: Sequence[Statement]
    scores: Sequence[Score]
    conduct: Sequence[Conduct]
    agreement: float | None
    repeated: int
    left: Share | None
    simulated: Json | None

    @property
    def silent(self) -> int:
        """How many began and answered nothing, as who closes the page at once."""
        return sum(not each.answered for each in self.conduct)

    @property
    def excluded(self) -> list[Conduct]:
        """Who answered and does not count."""
        return [each for each in self.conduct if each.out and each.answered]


def analyse(plan: StudyPlan, given: Given) -> Results:
    """Return what the answers of those say who keep the plan's rules.

    Raises:
        MissingExtra: choix is not installed.
    """
    conduct = [judge_subject(plan, subject) for subject in given.subjects]
    kept = [
        [answer for answer in subject.answers if answer.trial_kind in ("test", "repeat")]
        for subject, how in zip(given.subjects, conduct, strict=True)
        if not how.out
    ]
    wins = count_wins(plan, kept)
    comparisons = _comparisons(plan, kept, wins)
    agreed = [same for answers in kept for same in _agreements(plan, answers)]
    days = sorted(subject.started.day.isoformat() for subject in given.subjects)
    return Results(
        subjects=len(given.subjects),
        counted=len(kept),
        answers=sum(map(len, kept)),
        days=(days[0], days[-1]) if days else None,
        comparisons=comparisons,
        statements=_statements(plan, comparisons),
        scores=_scores(plan, wins),
        conduct=conduct,
        agreement=sum(agreed) / len(agreed) if agreed else None,
        repeated=len(agreed),
        left=_left(kept),
        simulated=given.header.simulated,
    )


def count_wins(plan: StudyPlan, subjects: Sequence[Sequence[Answer]]) -> I64:
    """Return how often each subject chose the method of a row over that of a column [S, M, M]."""
    index = {method.name: number for number, method in enumerate(plan.methods)}
    wins = np.zeros((len(subjects), len(index), len(index)), np.int64)
    for number, answers in enumerate(subjects):
        for answer in answers:
            other = answer.right if answer.side == "left" else answer.left
            wins[number, index[answer.chosen], index[other]] += 1
    return wins


def _comparisons(plan: StudyPlan, kept: Sequence[Sequence[Answer]], wins: I64) -> list[Comparison]:
    index = {method.name: number for number, method in enumerate(plan.methods)}
    shares: list[Share | None] = []
    for first, second in plan.comparisons:
        a, b = index[first], index[second]
        answers = wins[:, a, b] + wins[:, b, a]
        shares.append(estimate_share(wins[:, a, b], answers) if answers.any() else None)
    tested = {number: share.p for number, share in enumerate(shares) if share is not None and share.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    scenes = _by_scene(plan, kept)
    found = []
    for number, (pair, share) in enumerate(zip(plan.comparisons, shares, strict=True)):
        p = corrected.get(number)
        word = _word(plan, share, p)
        found.append(Comparison(*pair, share, p, word, _verdict(pair, share, word), scenes[pair]))
    return found


def _word(plan: StudyPlan, share: Share | None, p: float | None) -> Word:
    """Return what may be said of a share: there is a difference, or the interval leaves no room for a large one."""
    if share is None:
        return "no answers"
    if share.low is None or share.high is None or p is None:
        return "not enough answers"
    if p < ALPHA:
        return "first preferred" if share.value > 0.5 else "second preferred"
    near = max(share.high - 0.5, 0.5 - share.low) <= plan.near_chance
    return "near chance" if near else "not enough answers"


def _verdict(pair: tuple[str, str], share: Share | None, word: Word) -> str:
    if share is None or share.low is None:
        return word
    if word in ("near chance", "not enough answers"):
        return f"{word}: between {share.low:.2f} and {share.high:.2f}"
    preferred = pair[0] if word == "first preferred" else pair[1]
    return f"{preferred} preferred: {share.value:.2f} of answers for {pair[0]} ({share.low:.2f} to {share.high:.2f})"


def _by_scene(plan: StudyPlan, kept: Sequence[Sequence[Answer]]) -> dict[tuple[str, str], dict[str, tuple[int, int]]]:
    trials = {trial.id: trial for trial in plan.trials}
    counts: dict[tuple[str, str], dict[str, tuple[int, int]]] = {pair: {} for pair in plan.comparisons}
    for answer in (answer for answers in kept for answer in answers):
        trial = trials[answer.trial]
        first, of = counts[trial.methods].get(trial.scene, (0, 0))
        counts[trial.methods][trial.scene] = first + (answer.chosen == trial.methods[0]), of + 1
    return {pair: dict(sorted(mine.items())) for pair, mine in counts.items()}


def _statements(plan: StudyPlan, comparisons: Sequence[Comparison]) -> list[Statement]:
    kinds = {method.name: method.kind for method in plan.methods}
    texts = {"phone": "{} over phone:", "dslr": "{} against DSLR, near chance?"}
    return [
        Statement(texts[kinds[comparison.second]].format(comparison.first), comparison)
        for kind in texts
        for comparison in comparisons
        if kinds[comparison.first] == "enhanced" and kinds[comparison.second] == kind
    ]


def _scores(plan: StudyPlan, wins: I64) -> list[Score]:
    try:
        return estimate_scores(wins, tuple(method.name for method in plan.methods), seed=plan.seed)
    except ValueError:  # answers do not connect all methods
        return []


def _agreements(plan: StudyPlan, answers: Iterable[Answer]) -> Iterable[bool]:
    """Yield for each pair that was shown again whether the same was chosen as the first time."""
    trials = {trial.id: trial for trial in plan.trials}
    first: dict[tuple[str, tuple[str, str]], str] = {}
    for answer in answers:
        trial = trials[answer.trial]
        pair = trial.scene, trial.methods
        if trial.again and pair in first:
            yield answer.chosen == first[pair]
        first.setdefault(pair, answer.chosen)


def _left(kept: Sequence[Sequence[Answer]]) -> Share | None:
    left = np.array([sum(answer.side == "left" for answer in answers) for answers in kept])
    of = np.array([len(answers) for answers in kept])
    return estimate_share(left, of) if of.any() else None
