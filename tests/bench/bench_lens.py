"""What the memory of a session's lenses gains: alignments of single pairs, and fitted again with what all pairs told.

Twelve scenes of which three quarters show nothing (sky, a wall), by a phone of 3 MP and a DSLR of 5: one pair alone
knows the lenses where it sees them. Errors are in px of the phone against the cameras' true geometry, over the whole
overlap, the empty part included. The baseline is the same alignment without the memory.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from measure import Figure, Findings, Timed, alone, timed
from pair_truth import DSLR, PHONE, Pair, make_pair, random_pose, scene

from dpedkit.align import align_pair, learn_lens, refit
from dpedkit.types import F64

PAIRS = 12
PHONE_3MP = replace(PHONE, size=(2048, 1536))
DSLR_5MP = replace(DSLR, size=(2736, 1824))


def run() -> Findings:
    """Align the session, learn, and fit again."""
    without, learnt, refits = alone(measure)
    figures = []
    for label, share in (("median", 0.5), ("p95", 0.95), ("max", 1.0)):
        both = [[float(np.quantile(np.concatenate(errors), share))] for errors in (learnt, without)]
        figures.append(Figure(f"error, {label}", both[0], "px", both[1]))
    worst = [[max(float(np.quantile(each, 0.95)) for each in errors)] for errors in (learnt, without)]
    figures.append(Figure("error, p95 of the worst pair", worst[0], "px", worst[1]))
    figures.append(Figure("fitting a pair again, CPU time", [call.cpu_s for call in refits], "s"))
    return Findings(figures)


def measure() -> tuple[list[F64], list[F64], list[Timed]]:
    """Return errors without the memory and with it, and what fitting again cost."""
    pairs = [mostly_blank(seed) for seed in range(PAIRS)]
    alignments = [align_pair(pair.phone, pair.dslr) for pair in pairs]
    lens = learn_lens(alignments)
    if lens is None:
        raise RuntimeError("the pairs did not agree on their lenses")
    calls = [timed(refit, alignment, lens) for alignment in alignments]
    without = [pair.errors(each.phone_to_dslr) for pair, each in zip(pairs, alignments, strict=True)]
    learnt = [pair.errors(call.value.phone_to_dslr) for pair, call in zip(pairs, calls, strict=True)]
    return without, learnt, [replace(call, value=None) for call in calls]


def mostly_blank(seed: int) -> Pair:
    """Photograph a scene that shows something in one quarter only."""
    texture = scene(int(np.hypot(*DSLR_5MP.size) / 2), seed)
    height, width = texture.shape[:2]
    blank = np.full_like(texture, 180)
    rows = slice(0, height // 2) if seed % 2 else slice(height // 2, None)
    columns = slice(0, width // 2) if seed // 2 % 2 else slice(width // 2, None)
    blank[rows, columns] = texture[rows, columns]
    return make_pair(replace(PHONE_3MP, view=random_pose(seed)), DSLR_5MP, seed=seed, texture=blank)
