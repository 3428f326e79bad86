"""The full-size pairs of the align and mesh benches, and how an alignment of one is measured.

One case, one or several scenes, with the steps' times: python tests/bench/pairs.py "13 MP" 0 1 2 [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from measure import Figure, Timed, alone, timed

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # pair_truth.py is the tests'

from pair_scenes import relief, step_boards
from pair_truth import (
    DSLR_20MP,
    PHONE_3MP,
    PHONE_13MP,
    Camera,
    brown,
    decentred,
    division,
    load_pair,
    make_pair,
    random_pose,
)

from dpedkit.align import align_pair
from dpedkit.types import F64

TRUSTED = 0.5
BANDS = (("median", 0.5), ("p95", 0.95))
CLOSE, BENT = ("<= 0.03", "<= 0.1"), ("<= 0.06", "<= 0.2")
OUTSIDE = ((division(0.09, -0.02), division(0.03, 0.01)), (decentred(-0.08, 0.003, 0.002), brown(-0.03)))


@dataclass(frozen=True)
class Case:
    """One kind of pair.

    targets   of the median and the p95 error; "" where the issue names none
    steps_px  how far boards stand out from the scene, in parallax; 0 for none
    relief_px the same of a smooth relief
    outside   lenses that the fitted model does not hold
    """

    name: str
    phone: Camera
    targets: tuple[str, str]
    outside: bool = False
    relief_px: float = 0.0
    steps_px: float = 0.0

    def cameras(self, seed: int) -> tuple[Camera, Camera]:
        """Return the phone's and the DSLR's camera."""
        phone = replace(self.phone, view=random_pose(seed))
        if self.relief_px:
            phone = replace(phone, parallax=relief(self.relief_px, phone.size))
        if self.steps_px:
            phone = replace(phone, boards=step_boards(4, self.steps_px, phone.size, seed))
        if not self.outside:
            return phone, DSLR_20MP
        phone_lens, dslr_lens = OUTSIDE[seed % len(OUTSIDE)]
        return replace(phone, lens=phone_lens), replace(DSLR_20MP, lens=dslr_lens)


CASES = {
    case.name: case
    for size, phone in (("13 MP", PHONE_13MP), ("3 MP", PHONE_3MP))
    for case in (
        Case(size, phone, CLOSE),
        Case(f"{size}, other lenses", phone, BENT, outside=True),
        Case(f"{size}, relief of 3 px", phone, BENT, relief_px=3.0),
        Case(f"{size}, boards at 3 px", phone, ("", ""), steps_px=3.0),
    )
}


@dataclass(frozen=True)
class Measured:
    """One alignment.

    call    its cost
    errors  [N], phone px, where it is to be trusted
    share   of the overlap that is to be trusted
    laps    seconds per step
    """

    call: Timed
    errors: F64
    share: float
    laps: Mapping[str, float]

    @property
    def wrong(self) -> float:
        """Share of what is to be trusted that is off by more than 0.5 px."""
        return float((self.errors > 0.5).mean())


def photograph(folder: Path, names: Sequence[str], seed: int) -> None:
    """Save a scene as several cases see it, a folder each."""
    for name in names:
        make_pair(*CASES[name].cameras(seed), seed=seed).save(folder / name)


def align_ours(folder: Path) -> Measured:
    """Align a saved pair; in a fresh process, so that its peak memory is that of one alignment with its photos."""
    pair = load_pair(folder)
    call = timed(align_pair, pair.phone, pair.dslr)
    trusted = call.value.confidence(pair.overlap()[0]) >= TRUSTED
    errors = pair.errors(call.value.phone_to_dslr)[trusted]
    return Measured(replace(call, value=None), errors, float(trusted.mean()), call.value.timings)


def error_figures(
    name: str, errors: Sequence[F64], targets: tuple[str, str], script: Sequence[F64] = ()
) -> list[Figure]:
    """Return the quantiles of all scenes' errors together, and of the worst scene."""
    figures = []
    for (label, share), target in zip(BANDS, targets, strict=True):
        theirs = [float(np.quantile(np.concatenate(script), share))] if script else []
        pooled = float(np.quantile(np.concatenate(errors), share))
        worst = max(float(np.quantile(each, share)) for each in errors)
        figures.append(Figure(f"{name}: error, {label}", [pooled], "px", theirs, target=target))
        figures.append(Figure(f"{name}: error, {label} of the worst scene", [worst], "px", target=target))
    largest = [float(np.concatenate(each).max()) if each else None for each in (errors, script)]
    ours, theirs = ([value] if value is not None else [] for value in largest)
    return [*figures, Figure(f"{name}: error, max", ours, "px", theirs)]


def main(words: list[str]) -> None:
    """Print the figures of single scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED")
    parser.add_argument("--keep", type=Path, help="where photos stay, and are taken from the next time")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        for seed in options.seeds:
            folder = (options.keep or Path(name)) / str(seed)
            if not (folder / options.case / "cameras.pickle").exists():
                alone(photograph, folder, [options.case], seed)
            seen = alone(align_ours, folder / options.case)
            median, p95, most = np.quantile(seen.errors, [0.5, 0.95, 1.0])
            laps = " ".join(f"{step} {lap:.2f}" for step, lap in seen.laps.items())
            print(
                f"{options.case} {seed}: {median:.4f} / {p95:.4f} / {most:.2f} px, trusted {seen.share:.0%}, "
                f"of which off by 0.5 px {seen.wrong:.1%}; CPU {seen.call.cpu_s:.2f} s, {seen.call.peak_mb:.0f} MB; "
                f"{laps}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
