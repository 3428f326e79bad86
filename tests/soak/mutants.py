"""Photos damaged at random, read in worker processes: each is the picture that it was, or an error that names it.

What has no checksum may also come out as another picture, of the size that its header tells.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mutations import cases, mutate, originals

from dpedkit.errors import DpedError
from dpedkit.executor import Workers, run_parallel
from dpedkit.images import read_meta, read_photo, read_small
from dpedkit.memory import limit_this_process
from dpedkit.types import U8

TIMEOUT_S = 60.0
MEMORY_BYTES = 1_000_000_000
"""What a worker has for its libraries and one picture; those that announce more must fail by themselves."""

_CHECKED = ("png", "png-16", "tiff-deflate")  # kinds whose every pixel stands under a checksum


@dataclass(frozen=True, slots=True)
class Mutant:
    """What befell which file; the seed draws the rest."""

    kind: str
    how: str
    seed: int


def mutants(seeds: range) -> list[Mutant]:
    """Return one for each seed: the four formats take turns, what befalls them is drawn."""
    formats = sorted({kind.split("-")[0] for kind in originals()})
    found = []
    for seed in seeds:
        draw = random.Random(seed)
        kind = draw.choice([kind for kind in originals() if kind.split("-")[0] == formats[seed % len(formats)]])
        found.append(Mutant(kind, draw.choice(cases(kind)), seed))
    return found


def read_all(seeds: range) -> str:
    """Read the mutants of these seeds; return how many came out as what.

    Raises:
        AssertionError: one took its worker down, hung, was refused without a word, or came out false.
    """
    outcomes = run_parallel(judge, mutants(seeds), workers=Workers(1), timeout_s=TIMEOUT_S)
    words: Counter[str] = Counter()
    for outcome in outcomes:
        assert outcome.value is not None, f"{outcome.item}: {outcome.error}"
        words[outcome.value] += 1
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items()))


def judge(mutant: Mutant) -> str:
    """Read one mutant in a worker; return "same", "other" or "refused"."""
    limit_this_process(MEMORY_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.jpg"
        path.write_bytes(mutate(mutant.kind, mutant.how, random.Random(mutant.seed)))
        try:
            meta = read_meta(path)
            read_small(path, 64)
            photo = read_photo(path)
        except DpedError as error:
            assert str(path) in error.cause, (mutant, error)
            assert error.remedy, (mutant, error)
            assert mutant.how != "exif", (mutant, error)
            return "refused"
        except Exception as error:
            raise AssertionError(mutant) from error
    assert photo.rgb.shape == (meta.height, meta.width, 3), mutant
    assert meta == photo.meta, mutant
    if _same(photo.rgb, _truth()[mutant.kind]):
        return "same"
    assert mutant.how not in ("cut", "exif"), f"{mutant} came out as another picture"
    assert mutant.kind not in _CHECKED or mutant.how == "size", f"{mutant} came out as another picture"
    return "other"


@cache
def _truth() -> dict[str, U8]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.jpg"
        pictures = {}
        for kind, data in originals().items():
            path.write_bytes(data)
            pictures[kind] = read_photo(path).rgb
    return pictures


def _same(rgb: U8, truth: U8) -> bool:
    """Whether two pictures have the same pixels, however they are turned: damaged EXIF may say otherwise."""
    turns = [turned[::down, ::across] for turned in (rgb, rgb.swapaxes(0, 1)) for down in (1, -1) for across in (1, -1)]
    return any(turned.shape == truth.shape and bool((turned == truth).all()) for turned in turns)
