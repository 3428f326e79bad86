"""align_pair against the script that everyone writes (full-resolution SIFT, brute force, one homography); one thread.

Both get the same arrays: a DSLR's 20 MP and a phone's 13 or 3 MP of one scene, rendered by tests/pair_truth.py with
noise, blur, tone and radial distortion in both cameras, ten scenes and poses each. Errors are in px of the phone,
against the cameras' true geometry, over a grid on the overlap: of all scenes together, and of the worst scene. Lenses
outside the fitted family (a two-term division model, decentering) and a relief that moves things by up to 3 px have
their own rows. Each call has a process of its own, so its peak memory is that of one alignment with its photos.
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
from pair_truth import DSLR, PHONE, Camera, Pair, brown, decentred, division, make_pair, random_pose, relief

from dpedkit.align import align_pair
from dpedkit.images import encode_jpeg, read_rgb
from dpedkit.types import F64, U8

DSLR_20MP = replace(DSLR, size=(5472, 3648))
PHONE_13MP = replace(PHONE, size=(4128, 3096))
PHONE_3MP = replace(PHONE, size=(2048, 1536))
OUTSIDE = ((division(0.09, -0.02), division(0.03)), (decentred(-0.08, 0.003, 0.002), brown(-0.03)))
SCRIPT_SEEDS = 1
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Case:
    """One kind of pair, `seeds` of them; targets of the median and p95 error."""

    name: str
    phone: Camera
    seeds: int
    targets: tuple[str, str]
    outside: bool = False
    against_script: bool = False

    def cameras(self, seed: int) -> tuple[Camera, Camera]:
        """Return the phone's and the DSLR's camera."""
        phone = replace(self.phone, view=random_pose(seed))
        if not self.outside:
            return phone, DSLR_20MP
        phone_lens, dslr_lens = OUTSIDE[seed % len(OUTSIDE)]
        return replace(phone, lens=phone_lens), replace(DSLR_20MP, lens=dslr_lens)


CLOSE, BENT = ("<= 0.03", "<= 0.1"), ("<= 0.06", "<= 0.2")
CASES = {
    case.name: case
    for case in (
        Case("13 MP", PHONE_13MP, 10, CLOSE, against_script=True),
        Case("3 MP", PHONE_3MP, 10, CLOSE, against_script=True),
        Case("13 MP, other lenses", PHONE_13MP, 6, BENT, outside=True),
        Case("3 MP, other lenses", PHONE_3MP, 6, BENT, outside=True),
        Case("13 MP, relief of 3 px", replace(PHONE_13MP, parallax=relief(3.0, PHONE_13MP.size)), 5, BENT),
        Case("3 MP, relief of 3 px", replace(PHONE_3MP, parallax=relief(3.0, PHONE_3MP.size)), 5, BENT),
    )
}


def run() -> Findings:
    """Align every pair of every case."""
    found = [measure(case) for case in CASES.values()]
    return Findings([figure for each in found for figure in each.figures], [n for each in found for n in each.notes])


def measure(case: Case) -> Findings:
    """Return the figures of one case."""
    ours: list[tuple[Timed, F64]] = []
    script: list[tuple[Timed, F64]] = []
    notes, decoded = [], []
    for seed in range(case.seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            alone(photograph, folder, case.name, seed)
            ours.append(alone(align_ours, folder, case.name, seed))
            if case.against_script and seed < SCRIPT_SEEDS:
                script.append(alone(align_by_script, folder, case.name, seed))
                notes.append(limit(case, seed))
            if case.name == "13 MP":
                decoded.append(alone(decode_and_align, folder))
    figures = times(case, ours, script) + errors(case, ours, script)
    if decoded:
        ratio = [(decode + align) / decode for decode, align, _ in decoded]
        figures.append(Figure(f"{case.name}: decoding and aligning, over decoding", ratio, "x", target="<= 4"))
        sizes = decoded[0][2]
        notes.append(f"The JPEGs that were decoded have {sizes[0]:.1f} and {sizes[1]:.1f} MB (quality {JPEG_QUALITY}).")
    if script:
        notes.append(f"{case.name}: the script, being slow, saw {len(script)} of the {case.seeds} scenes.")
    return Findings(figures, notes)


def times(case: Case, ours: list[tuple[Timed, F64]], script: list[tuple[Timed, F64]]) -> list[Figure]:
    """Return what one alignment costs."""
    calls = [call for call, _ in ours]
    if script:
        figures = costs(case.name, calls, [call for call, _ in script], ">= 60x")
        return [*figures[:2], replace(figures[2], target="<= 400")]
    return [
        Figure(f"{case.name}: CPU time", [call.cpu_s for call in calls], "s"),
        Figure(f"{case.name}: peak memory", [call.peak_mb for call in calls], "MB", target="<= 400"),
    ]


def errors(case: Case, ours: list[tuple[Timed, F64]], script: list[tuple[Timed, F64]]) -> list[Figure]:
    """Return how far the maps are from the truth."""
    both = [[distance for _, distance in calls] for calls in (ours, script)]
    figures = []
    for label, share, target in (("median", 0.5, case.targets[0]), ("p95", 0.95, case.targets[1]), ("max", 1.0, "")):
        pooled = [[float(np.quantile(np.concatenate(seeds), share))] if seeds else [] for seeds in both]
        figures.append(Figure(f"{case.name}: error, {label}", pooled[0], "px", pooled[1], target=target))
        if target:
            worst = max(float(np.quantile(distance, share)) for distance in both[0])
            figures.append(Figure(f"{case.name}: error, {label} of the worst scene", [worst], "px", target=target))
    return figures


def limit(case: Case, seed: int) -> str:
    """Say how well the best of all homographies would do, which the script could at most find."""
    nothing = np.zeros((1, 1, 3), np.uint8)
    pair = Pair(nothing, nothing, *case.cameras(seed))
    grid, true = pair.overlap()
    left = np.quantile(pair.errors(through(cv2.findHomography(grid, true)[0])), [0.5, 0.95])
    return f"{case.name}: the homography nearest to the truth leaves {left[0]:.1f} px median, {left[1]:.1f} px p95."


def photograph(folder: Path, case: str, seed: int) -> None:
    """Save both photos of a pair, as arrays and as JPEGs."""
    pair = make_pair(*CASES[case].cameras(seed), seed=seed)
    for name, photo in (("phone", pair.phone), ("dslr", pair.dslr)):
        np.save(folder / f"{name}.npy", photo)
        (folder / f"{name}.jpg").write_bytes(encode_jpeg(photo, quality=JPEG_QUALITY))


def photos(folder: Path) -> tuple[U8, U8]:
    """Return the phone's photo and the DSLR's, as `photograph` saved them."""
    return np.load(folder / "phone.npy"), np.load(folder / "dslr.npy")


def align_ours(folder: Path, case: str, seed: int) -> tuple[Timed, F64]:
    """Align with dpedkit; return the cost, and the errors [N] where the alignment can be trusted."""
    phone, dslr = photos(folder)
    call = timed(align_pair, phone, dslr)
    pair = Pair(phone, dslr, *CASES[case].cameras(seed))
    trusted = call.value.confidence(pair.overlap()[0]) >= 0.5
    return replace(call, value=None), pair.errors(call.value.phone_to_dslr)[trusted]


def align_by_script(folder: Path, case: str, seed: int) -> tuple[Timed, F64]:
    """Align with the baseline; return the cost and the errors [N]."""
    phone, dslr = photos(folder)
    call = timed(align_script.align, phone, dslr)
    pair = Pair(phone, dslr, *CASES[case].cameras(seed))
    return replace(call, value=None), pair.errors(through(call.value))


def decode_and_align(folder: Path) -> tuple[float, float, tuple[float, float]]:
    """Return CPU seconds for decoding both JPEGs and for aligning them, and the files' MB."""
    paths = folder / "phone.jpg", folder / "dslr.jpg"
    read_rgb(paths[0])  # what is imported on first use is no part of decoding
    calls = [timed(read_rgb, path) for path in paths]
    aligned = timed(align_pair, calls[0].value, calls[1].value)
    phone_mb, dslr_mb = (path.stat().st_size / 1e6 for path in paths)
    return calls[0].cpu_s + calls[1].cpu_s, aligned.cpu_s, (phone_mb, dslr_mb)


def through(homography: F64) -> Callable[[F64], F64]:
    """Return the map of points [N, 2] through a homography."""

    def mapped(points: F64) -> F64:
        homogeneous = points @ homography[:, :2].T + homography[:, 2]
        return homogeneous[:, :2] / homogeneous[:, 2:]

    return mapped
