"""What the pairs of one session tell of their two lenses together, and alignments fitted again with that knowledge.

One pair may show nothing but sky in a corner; another one shows that corner well. The radial terms of all pairs are
taken for draws from one normal distribution, whose mean and covariance are found by expectation maximisation (Dempster,
Laird and Rubin, 1977; here the random-effects model of Laird and Ware, Biometrics 1982): each pair counts by what it
measured, and what scatters from pair to pair beyond that (a lens that focuses or zooms) widens the prior.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.align.lens import UNKNOWN_LENS, Lens, fisher, fit_lens, radial_terms
from dpedkit.align.parallax import fit_mesh, fits
from dpedkit.align.summary import summarise
from dpedkit.align.threads import on_one_blas_thread
from dpedkit.types import F64

MIN_PAIRS = 5
_ROUNDS = 300
_FLOOR = 1e-5
"""Least standard deviation of a term from pair to pair: 0.03 px in the corner of 13 MP."""
_FAR = 5.0  # standard deviations; a pair further off has gone wrong and tells nothing


@on_one_blas_thread
def learn_lens(alignments: Sequence[Alignment]) -> Lens | None:
    """Return what alignments of one phone and one DSLR, made without a memory, say of their lenses.

    None: fewer than MIN_PAIRS agree.
    """
    terms = np.array([radial_terms(each.warp) for each in alignments]).reshape(-1, 4)
    measured = np.array([_information(each) for each in alignments]).reshape(-1, 4, 4)
    good = measured.any(axis=(1, 2))
    for _ in range(2):
        if good.sum() < MIN_PAIRS:
            return None
        lens = _pooled(terms[good], measured[good])
        off = terms - lens.terms
        spread = lens.covariance + np.linalg.inv(measured + np.linalg.inv(UNKNOWN_LENS.covariance))
        good &= np.einsum("ni,nij,nj->n", off, np.linalg.inv(spread), off) <= _FAR**2
    return lens


@on_one_blas_thread
def refit(alignment: Alignment, lens: Lens) -> Alignment:
    """Fit an alignment's windows again, knowing the lens; the photos are not needed."""
    placed = alignment.placed
    mesh = alignment.warp.mesh
    warp = fit_lens(alignment.warp, placed.take(placed.found), lens)
    if mesh is not None:
        warp = fit_mesh(warp, placed, max(mesh.controls.shape))
    return summarise(warp, placed, lens, alignment.inliers, alignment.mode, {})


def _information(alignment: Alignment) -> F64:
    """Return [4, 4]: the Fisher information of the radial terms, the homography being unknown; 0: they tell nothing."""
    warp = alignment.warp.without_mesh()
    placed = alignment.placed.take(fits(alignment.warp, alignment.placed))
    if len(placed) < 12:
        return np.zeros((4, 4))
    normal = fisher(warp, placed)
    free = np.linalg.pinv(normal[:8, :8], hermitian=True)  # windows on one line leave it singular
    information: F64 = normal[8:, 8:] - normal[8:, :8] @ free @ normal[:8, 8:]
    return information


def _pooled(terms: F64, measured: F64) -> Lens:
    """Return mean and covariance of the terms [N, 4] of which each pair measured `measured` [N, 4, 4] worth."""
    weak = np.linalg.inv(UNKNOWN_LENS.covariance)
    seen = np.einsum("nij,nj->ni", measured + weak, terms)  # takes the weak prior back out of each estimate
    mean, covariance = terms.mean(axis=0), UNKNOWN_LENS.covariance
    for _ in range(_ROUNDS):
        precision = np.linalg.inv(covariance)
        left = np.linalg.inv(measured + precision)
        each = np.einsum("nij,nj->ni", left, seen + precision @ mean)
        mean = each.mean(axis=0)
        off = each - mean
        covariance = (left + off[:, :, None] * off[:, None, :]).mean(axis=0) + _FLOOR**2 * np.eye(4)
    return Lens(mean, covariance)
