"""What a study is asked to be, and what that makes of the corpus: methods, photos, trials, and how many subjects."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dpedkit.db import Corpus, SplitName
from dpedkit.errors import CorpusError, UsageError
from dpedkit.files import sha256_file
from dpedkit.stages.methods import Method
from dpedkit.stages.places import View
from dpedkit.stages.study.plan import DEGRADED, StudyMethod
from dpedkit.stages.study.shares import subjects_needed
from dpedkit.stages.study.trials import TRAINING, Slot, all_comparisons, lay_out
from dpedkit.train.weights import find_generator
from dpedkit.workspace import Workspace

PHONE, DSLR = "phone", "dslr"
ASSUMED_SD = 0.7
"""Between subjects, logit of preferring one method to another: by it a study is sized."""

_SECONDS = 4  # that a pair takes, as a rule of thumb
_USUAL_SCENES = 12


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for.

    runs    empty: all finished ones of the phone
    scenes  None: twelve, or as many as there are
    """

    phone: str
    runs: tuple[str, ...]
    split: SplitName
    scenes: int | None
    view: View
    repeats: int
    half_width: float
    seed: int
    question: str


@dataclass(frozen=True, slots=True)
class Design:
    """A study before its pictures are made.

    shots     of the phone, to be shown in tests and in training
    per_subject    answers of each subject to each comparison
    subjects       how many make each share's interval as narrow as wanted, if they differ by assumed_sd (logit)
    """

    phone: str
    view: View
    methods: tuple[StudyMethod, ...]
    comparisons: tuple[tuple[str, str], ...]
    shots: tuple[str, ...]
    training: tuple[str, ...]
    slots: tuple[Slot, ...]
    per_subject: int
    subjects: int
    assumed_sd: float
    minutes: float


def command(name: str, wish: Wish) -> str:
    """Return the command that plans the same."""
    view = ["--crop", str(wish.view.crop)] if wish.view.crop else ["--whole", str(wish.view.whole)]
    words = ["dpedkit", "study", "new", name, *view, "--repeats", str(wish.repeats), "--split", wish.split]
    words += ["--half-width", str(wish.half_width), "--seed", str(wish.seed), "--question", wish.question]
    words += ["--phone", wish.phone] if wish.phone else []
    words += ["--scenes", str(wish.scenes)] if wish.scenes else []
    return shlex.join(words + [word for run in wish.runs for word in ("--run", run)])


def draw_up(
    workspace: Workspace, corpus: Corpus, patches: pd.DataFrame, phone: str, runs: Sequence[Method], wish: Wish
) -> Design:
    """Return what a study would be.

    patches  of the phones, in the split that is asked for

    Raises:
        UsageError: there is no run, or one has a name that means something else.
        CorpusError: there are too few photos.
    """
    if not runs:
        raise UsageError(f"no finished run of {phone}", "`dpedkit train` makes one; --run names one that was stopped")
    if taken := {run.name for run in runs} & {PHONE, DSLR, DEGRADED}:
        raise UsageError(f"a run is called {taken.pop()!r}", "a study has another meaning for that name")
    methods = (
        StudyMethod(name=PHONE, kind="phone", source=phone),
        *(_of_run(workspace, run) for run in runs),
        StudyMethod(name=DSLR, kind="dslr", source="on the phone's pixels, its tone untouched"),
    )
    shots, training = _shots(corpus, patches, phone, wish)
    comparisons = all_comparisons(methods)
    slots = lay_out(comparisons, methods, scenes=shots, training=training, repeats=wish.repeats, seed=wish.seed)
    per_subject = len(shots) * wish.repeats
    return Design(
        phone=phone,
        view=wish.view,
        methods=methods,
        comparisons=tuple(comparisons),
        shots=tuple(shots),
        training=tuple(training),
        slots=tuple(slots),
        per_subject=per_subject,
        subjects=subjects_needed(wish.half_width, per_subject, ASSUMED_SD),
        assumed_sd=ASSUMED_SD,
        minutes=len(slots) * _SECONDS / 60,
    )


def _of_run(workspace: Workspace, run: Method) -> StudyMethod:
    weights = find_generator(workspace.runs / run.name)
    return StudyMethod(name=run.name, kind="enhanced", source=f"{weights.name} {sha256_file(weights)}", note=run.note)


def _shots(corpus: Corpus, patches: pd.DataFrame, phone: str, wish: Wish) -> tuple[list[str], list[str]]:
    """Return shots to test on, evenly spaced, and others to train with: of the same split, or else of another."""
    there = _with_patches(patches, phone)
    count = wish.scenes or min(_USUAL_SCENES, len(there))
    if count > len(there):
        raise CorpusError(
            f"{count} scenes are wanted, and {phone} has {len(there)} photos in the {wish.split} split",
            f"ask for --scenes {len(there)}, or capture more",
        )
    chosen = _spaced(there, count)
    everything = corpus.patches()
    in_use = everything[everything["used"]]
    others = [shot for shot in there if shot not in chosen]
    others = others or [shot for shot in _with_patches(in_use, phone) if shot not in there]
    if not others:
        raise CorpusError(
            f"{phone} has no photo left to train subjects with", "leave one out: ask for fewer with --scenes"
        )
    return chosen, _spaced(others, min(TRAINING, len(others)))


def _with_patches(patches: pd.DataFrame, phone: str) -> list[str]:
    return sorted({str(shot) for shot in patches.loc[patches["phone"] == phone, "shot"]})


def _spaced(shots: Sequence[str], count: int) -> list[str]:
    return [shots[index] for index in np.linspace(0, len(shots) - 1, count).astype(int)]
