"""What the gates keep of patches whose true places are known, on photos that go wrong in the usual ways.

Forty pairs of as many scenes, aligned and cut as by dpedkit: plain ones; a rolling relief; things that stand nearer,
and that moved between the photos; maps moved off the truth by up to 1.5 px (an old calibration, a bumped rig); bricks
that repeat; little contrast under much noise; a shaken phone. A patch counts as misplaced where a quarter of it or more
lies over 0.5 px from the truth, or shows what the other camera does not see. The baseline is the paper's gate (DPED,
Ignatov et al., ICCV 2017): NCC above 0.9. The AUC of a score is the chance that it is worse for a misplaced patch than
for a good one: 0.5 is a coin's. The limits were chosen on forty pairs of the same kinds: other scenes, but for the
plain ones, which are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
from measure import Figure, Findings, alone
from pair_scenes import Board, bricks, dead_leaves, step_boards
from pair_truth import DSLR, PHONE, Camera, Lens, Pair, ideal, make_pair, random_pose, relief
from scipy.stats import rankdata

from dpedkit.align import Alignment, Gates, PairRejected, PatchOptions, PatchScores, align_pair, cut_patches, judge
from dpedkit.types import F64, I64, U8, Bools

SIZE = 100
OFF_PX, OFF_SHARE = 0.5, 0.25
PHONE_PX, DSLR_PX = (1536, 1152), (2048, 1366)
PAPER = Gates(**dict.fromkeys((field.name for field in fields(Gates)), None) | {"min_ncc": 0.9})
_PLACES = (np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2) + 0.5) / 5

Scene = Callable[[tuple[int, int], int], U8]


@dataclass(frozen=True)
class Kind:
    """Pairs that go wrong in one way.

    parallax, boards  of a pair, by its seed
    moved_px          how far an alignment is moved off what was found, at most
    """

    name: str
    pairs: int
    scene: Scene = partial(dead_leaves, contrast=0.8)  # noqa: RUF009 (a function, and a frozen one)
    parallax: Callable[[int], Lens] = lambda seed: ideal  # noqa: ARG005
    boards: Callable[[int], tuple[Board, ...]] = lambda seed: ()  # noqa: ARG005
    blur_px: float = PHONE.blur_px
    noise: float = PHONE.noise
    moved_px: float = 0.0

    def pair(self, seed: int) -> Pair:
        """Photograph a scene."""
        phone = replace(
            PHONE,
            size=PHONE_PX,
            view=random_pose(seed),
            parallax=self.parallax(seed),
            boards=self.boards(seed),
            blur_px=self.blur_px,
            noise=self.noise,
        )
        dslr: Camera = replace(DSLR, size=DSLR_PX)
        unit_px = int(np.hypot(*DSLR_PX) / 2)
        return make_pair(phone, dslr, seed=seed, texture=self.scene((3 * unit_px, int(2.4 * unit_px)), seed))


KINDS = (
    Kind("plain", 8),
    Kind("relief", 6, parallax=lambda seed: relief(2.0 + seed % 6, PHONE_PX)),
    Kind("things that stand nearer", 5, boards=lambda seed: step_boards(3, 6.0, PHONE_PX, seed)),
    Kind("things that moved", 4, boards=lambda seed: step_boards(2, 60.0, PHONE_PX, seed)),
    Kind("maps off the truth", 4, moved_px=1.5),
    Kind("bricks, maps off the truth", 4, partial(bricks, variety=12.0), moved_px=0.75),
    Kind("mist", 4, partial(dead_leaves, contrast=0.15), noise=8.0),
    Kind("shaken", 5, blur_px=2.5),
)


def run() -> Findings:
    """Cut every pair, and ask both gates."""
    cuts = [alone(cut_kind, index) for index in range(len(KINDS))]
    scores = joined([cut.scores for cut in cuts])
    wrong = np.concatenate([cut.wrong for cut in cuts])
    ours, paper = (judge(scores, gates) == "" for gates in (Gates(), PAPER))
    figures = [
        Figure("patches", [len(scores)], better="more", target=">= 5000"),
        Figure("misplaced before any gate, share", [wrong.mean()], better="more", target=">= 0.05"),
        Figure("kept, share of all", [ours.mean()], "", [paper.mean()], "more", ">= 0.65"),
        Figure("misplaced, share of those kept", [wrong[ours].mean()], "", [wrong[paper].mean()], target="<= 0.005"),
        *(Figure(f"AUC of {name}", [auc(values, wrong)], better="more") for name, values in predictors(scores).items()),
    ]
    return Findings(figures, [note for cut in cuts for note in cut.notes()])


@dataclass(frozen=True, eq=False)
class Cut:
    """Patches of one kind: their scores, whether they are misplaced [N], and why pairs were refused."""

    kind: str
    scores: PatchScores
    wrong: Bools
    refused: tuple[str, ...]

    def notes(self) -> list[str]:
        """Say how both gates did on this kind."""
        shares = []
        for gates in (Gates(), PAPER):
            kept = judge(self.scores, gates) == ""
            shares.append(f"{kept.mean():.0%} kept with {self.wrong[kept].sum()} misplaced")
        share, count = self.wrong.mean(), len(self.wrong)
        told = f"{self.kind}: {share:.0%} of {count} misplaced; {shares[0]}; the paper's {shares[1]}."
        return [told, *(f"{self.kind}: a pair was refused ({reason})." for reason in self.refused)]


def cut_kind(index: int) -> Cut:
    """Make, align and cut the pairs of a kind."""
    kind = KINDS[index]
    scores, wrong, refused = [], [], []
    for seed in range(10 * index, 10 * index + kind.pairs):
        pair = kind.pair(seed)
        try:
            alignment = bumped(align_pair(pair.phone, pair.dslr), kind.moved_px, seed)
        except PairRejected as refusal:
            refused.append(refusal.reason)
            continue
        patches = cut_patches(pair.phone, pair.dslr, alignment, PatchOptions(size=SIZE))
        scores.append(patches.scores)
        wrong.append(misplaced(pair, alignment, patches.xy))
    return Cut(kind.name, joined(scores), np.concatenate(wrong), tuple(refused))


def bumped(alignment: Alignment, most_px: float, seed: int) -> Alignment:
    """Move, turn and stretch a map, so that no point of the photo moves by more than about `most_px`."""
    rng = np.random.default_rng(seed)
    step = np.eye(3)
    step[:2] += rng.uniform(-0.5, 0.5, (2, 3)) * most_px / (np.hypot(*alignment.warp.phone_size) / 2)
    return replace(alignment, warp=replace(alignment.warp, homography=alignment.warp.homography @ step))


def misplaced(pair: Pair, alignment: Alignment, xy: I64) -> Bools:
    """Return which patches [N] lie off the truth, by 25 points of each; what only one camera sees is off."""
    points = (xy[:, None] + _PLACES * (SIZE - 1)).reshape(-1, 2)
    smooth = replace(pair, phone_camera=replace(pair.phone_camera, boards=()))  # a jump has no slope
    true, base = pair.truth(points), smooth.truth(points)
    slopes = np.stack([smooth.truth(points + axis) - base for axis in np.eye(2)], axis=2)
    off = np.linalg.solve(slopes, (alignment.phone_to_dslr(points) - true)[..., None])[..., 0]
    beyond = ~(np.linalg.norm(off, axis=1) <= OFF_PX)
    return beyond.reshape(len(xy), -1).mean(axis=1) >= OFF_SHARE


def predictors(scores: PatchScores) -> dict[str, F64]:
    """Return scores [N] that are larger for what looks worse."""
    return {
        "1 - NCC": 1 - scores.ncc,
        "low deviation": -scores.std,
        "low sharpness": -scores.sharpness_phone,
        "low confidence": -scores.confidence,
        "CRLB": scores.crlb_px,
        "shift": scores.shift_px,
        "local shift": scores.local_shift_px,
    }


def auc(values: F64, wrong: Bools) -> float:
    """Return the chance that a wrong one's value is above a right one's (Mann and Whitney, 1947)."""
    ranks, bad = rankdata(values), wrong.sum()
    return float((ranks[wrong].sum() - bad * (bad + 1) / 2) / (bad * (len(wrong) - bad)))


def joined(parts: list[PatchScores]) -> PatchScores:
    """Return the scores of all parts, one after the other."""
    names = [field.name for field in fields(PatchScores)]
    return PatchScores(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
