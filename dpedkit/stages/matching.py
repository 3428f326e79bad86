"""The best one-to-one matching of two ascending series that keeps their order."""

from __future__ import annotations

import numpy as np

from dpedkit.types import F64, I64

_SKIP, _LEFT, _MATCH = 0, 1, 2


def match_in_order(first: F64, second: F64, within: float) -> I64:
    """Return the pairs [K, 2] of indices that together agree best; neither index ever falls.

    Each pair is worth 1 - (difference / within)^2, so one that is much closer outweighs two that hardly agree. Only
    pairs within reach are looked at: time and memory grow with their number (Needleman and Wunsch, 1970, in a band).

    first   [N], ascending
    second  [M], ascending
    """
    low = np.searchsorted(second, first - within, side="left")
    high = np.searchsorted(second, first + within, side="right")
    best = np.zeros(len(second) + 1)  # best[j + 1]: what the rows so far and second[: j + 1] are worth
    filled = 0  # best[filled + 1 :] still are to be raised to best[filled]
    steps: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []
    for row, (left, right) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        best[filled + 1 : right + 1] = best[filled]
        filled = max(filled, right)
        worth = 1 - ((first[row] - second[left:right]) / within) ** 2
        above = best[left + 1 : right + 1].copy()
        matched = best[left:right] + worth
        either = np.maximum(above, matched)
        reached = np.maximum.accumulate(np.concatenate([best[left : left + 1], either]))[1:]
        steps.append(np.where(reached > either, _LEFT, np.where(matched > above, _MATCH, _SKIP)).astype(np.uint8))
        best[left + 1 : right + 1] = reached
    return _trace(low, high, steps)


def _trace(low: I64, high: I64, steps: list[np.ndarray[tuple[int], np.dtype[np.uint8]]]) -> I64:
    pairs: list[tuple[int, int]] = []
    row, column = len(low) - 1, int(high[-1]) - 1 if len(high) else -1
    while row >= 0:
        column = min(column, int(high[row]) - 1)
        if column < low[row]:
            row -= 1
            continue
        step = steps[row][column - low[row]]
        if step == _MATCH:
            pairs.append((row, column))
            row, column = row - 1, column - 1
        elif step == _LEFT:
            column -= 1
        else:
            row -= 1
    return np.array(pairs[::-1], np.int64).reshape(-1, 2)
