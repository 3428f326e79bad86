"""align_pair against the script that everyone writes (full-resolution SIFT, brute force, one homography); one thread.

Both get the same arrays: a DSLR's 20 MP and a phone's 13 or 3 MP of one scene, rendered by tests/pair_truth.py with
noise, blur, tone and radial distortion in both cameras, ten scenes and poses each. Errors are in px of the phone,
against the cameras' true geometry, over a grid on the overlap: of all scenes together, and of the worst scene. Each
call has a process of its own, so its peak memory is that of one alignment with its photos. The lenses are Brown's, as
the fitted model's are; the section "mesh" has others. The last rows decode the photos' JPEGs (quality 95) and align
what they hold, and set that against decoding alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from baselines import align_script
from measure import Figure, Findings, Timed, alone, costs, timed
from pair_truth import Pair, load_pair
from pairs import CASES, CLOSE, Case, Measured, align_ours, error_figures, photograph

from dpedkit.align import align_pair
from dpedkit.images import read_rgb
from dpedkit.types import F64

SEEDS, SCRIPT_SEEDS = 10, 1  # the script takes minutes
NAMES = ("13 MP", "3 MP")
DECODED = "13 MP"


@dataclass(frozen=True)
class Decoded:
    """CPU seconds for decoding both JPEGs and for aligning what they hold; errors [N], phone px; MB of both files."""

    decode_s: float
    align_s: float
    errors: F64
    mb: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Decoding and aligning, over decoding."""
        return (self.decode_s + self.align_s) / self.decode_s


def run() -> Findings:
    """Align every scene of both sizes."""
    ours: dict[str, list[Measured]] = {name: [] for name in NAMES}
    script: dict[str, list[tuple[Timed, F64]]] = {name: [] for name in NAMES}
    decoded: list[Decoded] = []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            alone(photograph, folder, NAMES, seed)
            for case in NAMES:
                ours[case].append(alone(align_ours, folder / case))
                if seed < SCRIPT_SEEDS:
                    script[case].append(alone(align_by_script, folder / case))
            decoded.append(alone(decode_and_align, folder / DECODED))
    figures = [each for name in NAMES for each in case_figures(CASES[name], ours[name], script[name])]
    notes = [limit(CASES[name], seed) for name in NAMES for seed in range(SCRIPT_SEEDS)]
    mb = np.median([each.mb for each in decoded], axis=0)
    notes += [
        f"The script, being slow, saw {SCRIPT_SEEDS} of the {SEEDS} scenes.",
        f"The JPEGs of 13 and 20 MP have {mb[0]:.1f} and {mb[1]:.1f} MB; decoding them takes "
        f"{np.median([each.decode_s for each in decoded]):.2f} s.",
    ]
    return Findings(figures + decoded_figures(decoded), notes)


def case_figures(case: Case, ours: list[Measured], script: list[tuple[Timed, F64]]) -> list[Figure]:
    """Return what one size costs, and how close it comes."""
    cpu, wall, peak = costs(case.name, [each.call for each in ours], [call for call, _ in script], ">= 60x")
    distances = [each.errors for each in ours], [errors for _, errors in script]
    share = Figure(f"{case.name}: share of the overlap that is trusted", [each.share for each in ours], better="more")
    return [
        cpu,
        wall,
        replace(peak, target="<= 400"),
        *error_figures(case.name, distances[0], case.targets, distances[1]),
        share,
    ]


def decoded_figures(decoded: list[Decoded]) -> list[Figure]:
    """Return what JPEGs cost, and how close their alignments come."""
    name = f"{DECODED}, from JPEG"
    ratios = Figure(
        f"{name}: decoding and aligning, over decoding", [each.ratio for each in decoded], "x", target="<= 4"
    )
    return [ratios, *error_figures(name, [each.errors for each in decoded], CLOSE)]


def limit(case: Case, seed: int) -> str:
    """Say how well the best of all homographies would do, which the script could at most find."""
    nothing = np.zeros((1, 1, 3), np.uint8)
    pair = Pair(nothing, nothing, *case.cameras(seed))
    grid, true = pair.overlap()
    left = np.quantile(pair.errors(through(cv2.findHomography(grid, true)[0])), [0.5, 0.95])
    return f"{case.name}: the homography nearest to the truth leaves {left[0]:.1f} px median, {left[1]:.1f} px p95."


def align_by_script(folder: Path) -> tuple[Timed, F64]:
    """Align with the baseline; return the cost and the errors [N]."""
    pair = load_pair(folder)
    call = timed(align_script.align, pair.phone, pair.dslr)
    return replace(call, value=None), pair.errors(through(call.value))


def decode_and_align(folder: Path) -> Decoded:
    """Read both JPEGs, and align them."""
    paths = folder / "phone.jpg", folder / "dslr.jpg"
    read_rgb(paths[0])  # what is imported on first use is no part of decoding
    calls = [timed(read_rgb, path) for path in paths]
    aligned = timed(align_pair, calls[0].value, calls[1].value)
    phone_mb, dslr_mb = (path.stat().st_size / 1e6 for path in paths)
    errors = load_pair(folder).errors(aligned.value.phone_to_dslr)
    return Decoded(calls[0].cpu_s + calls[1].cpu_s, aligned.cpu_s, errors, (phone_mb, dslr_mb))


def through(homography: F64) -> Callable[[F64], F64]:
    """Return the map of points [N, 2] through a homography."""

    def mapped(points: F64) -> F64:
        homogeneous = points @ homography[:, :2].T + homography[:, 2]
        return homogeneous[:, :2] / homogeneous[:, 2:]

    return mapped
