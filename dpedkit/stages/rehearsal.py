"""Checks of our own work against what the simulated rig knows to be true. Nothing else may read the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dpedkit.align import Alignment
from dpedkit.capture.simulate.truth import load_truth, phone_to_dslr
from dpedkit.db import open_corpus
from dpedkit.stages.frames import rows
from dpedkit.types import F64
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class AlignmentError:
    """How far an alignment is from the truth.

    distance_px  [N], px of the phone's photo, at points spread evenly over the photos' overlap
    """

    pair: str
    phone: str
    distance_px: F64


def alignment_errors(workspace: Workspace, rig: str) -> list[AlignmentError]:
    """Compare every alignment of simulated photos with the truth.

    Raises:
        CorpusError: the photos are not those of this simulated rig.
    """
    truth = workspace.simulated(rig) / "truth"
    errors = []
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        pairs = corpus.pairs()
        for pair in rows(pairs[pairs["status"] == "aligned"]):
            alignment = Alignment.from_dict(corpus.alignment_model(pair.alignment))
            phone, dslr = load_truth(truth, pair.phone_sha256), load_truth(truth, pair.dslr_sha256)
            points = _grid(alignment)
            true = phone_to_dslr(phone, dslr, points)
            inside = _inside(true, alignment.warp.dslr_size)
            missed = alignment.dslr_to_phone(true[inside]) - points[inside]
            distance: F64 = np.linalg.norm(missed, axis=1)
            errors.append(AlignmentError(f"{pair.shot} {pair.phone}", pair.phone, distance))
    return errors


def _grid(alignment: Alignment) -> F64:
    """Return [N, 2] points spread over the whole phone photo."""
    width, height = alignment.warp.phone_size
    xs, ys = np.linspace(0, width - 1, 48), np.linspace(0, height - 1, 36)
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)


def _inside(points: F64, size: tuple[int, int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    inside = (points >= 0).all(axis=1) & (points <= np.array(size) - 1).all(axis=1)
    return np.asarray(inside)
