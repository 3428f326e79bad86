"""A study's plan: who is compared on what, which pair each subject sees when and on which side, and who will not count.

It is fixed before the first answer: answers name the plan's digest, and are not taken or read with another.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from dpedkit.errors import StudyError
from dpedkit.files import storage_error
from dpedkit.settings import Table

PLAN_FILE, PICTURES = "plan.json", "pictures"
DEGRADED = "degraded"
"""The method that a catch trial's wrong answer is called: the same picture, spoilt so that nobody can prefer it."""

SEEN = {
    "train": "networks have learnt from these photos",
    "val": "networks' weights were chosen by these photos",
}
"""What must be said of a study of photos of another split than test."""

Kind = Literal["test", "repeat", "catch", "training"]
Side = Literal["left", "right"]


class StudyMethod(Table):
    """One of those that are compared.

    kind    whose pictures they are
    source  a run's name and the SHA-256 of its weights, or the device
    note    what must be said beside its results, "not for results" and the like; mostly empty
    """

    name: str
    kind: Literal["phone", "enhanced", "dslr"]
    source: str
    note: str = ""


class Scene(Table):
    """A photo, by its shot, and where in it the upper left corner of what is shown lies, in the phone's pixels.

    training  it is shown in training trials, and in no others
    """

    shot: str
    x: int
    y: int
    training: bool = False


class Trial(Table):
    """A pair to be shown once to every subject; on which side the first is, the session says.

    scene     its shot
    methods   whom the pictures are of; of a catch trial the second is DEGRADED
    pictures  their files below pictures/, in the same order; their names tell nothing
    again     0 when the pair is shown for the first time, then 1, 2, ...
    """

    id: str
    kind: Kind
    scene: str
    methods: tuple[str, str]
    pictures: tuple[str, str]
    again: int = 0


class Shown(NamedTuple):
    """A trial as a subject sees it, `place` counting from 0.

    left, right                  files below pictures/
    left_method, right_method    whom they are of: for the answers' file, never for the subject
    """

    place: int
    trial: str
    kind: Kind
    left: str
    right: str
    left_method: str
    right_method: str


class Rules(Table):
    """Whose answers do not count, whatever they say.

    catch_share      the least share of catch trials that were answered rightly
    median_ms        the least median time of an answer
    answered_share   the least share of the session that was answered
    same_side_share  the largest share of answers on one side
    """

    catch_share: float = Field(default=0.7, ge=0, le=1)
    median_ms: int = Field(default=300, ge=0)
    answered_share: float = Field(default=0.5, ge=0, le=1)
    same_side_share: float = Field(default=0.95, gt=0.5, le=1)


class StudyPlan(Table):
    """plan.json.

    created          UTC, to the minute
    command          what planned it
    width, height    of every picture, px; of whole photos, of one of them: others may be turned
    comparisons      pairs of methods: the share is of answers for the first of them
    half_width       half the width that a share's 95% interval should have
    subjects         how many that takes, as `shares.subjects_needed` has it
    assumed_sd       between subjects, logit, in that number
    near_chance      how far from 0.5 an interval may reach for a share to be called near chance
    """

    version: Literal[1] = 1
    name: str
    created: str
    made_by: str
    command: str
    seed: int
    question: str
    phone: str
    split: str
    width: int
    height: int
    methods: tuple[StudyMethod, ...]
    comparisons: tuple[tuple[str, str], ...]
    scenes: tuple[Scene, ...]
    trials: tuple[Trial, ...]
    rules: Rules = Rules()
    half_width: float
    subjects: int
    assumed_sd: float
    near_chance: float = 0.1

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def of_kind(self, *kinds: Kind) -> list[Trial]:
        """Return the trials of some kinds, in the plan's order."""
        return [trial for trial in self.trials if trial.kind in kinds]

    def session(self, subject: int) -> tuple[Shown, ...]:
        """Return what the subject of a number, from 0, is shown: training, then all pairs, then all of them again.

        Each pass has an order of its own, in which no scene comes twice in a row where that can be avoided, and its
        part of the catch trials. A method is as often on the left as on the right, to one: within a subject, between
        two subjects of neighbouring numbers (who see all pairs mirrored), and when a pair comes again.
        """
        rng = random.Random(f"{self.seed}/{subject}")
        first_left = self._first_left(subject)
        passes = [[trial for trial in self.of_kind("test", "repeat") if trial.again == again] for again in self._passes]
        for index, trial in enumerate(rng.sample(catch := self.of_kind("catch"), len(catch))):
            passes[index % len(passes)].append(trial)
        parts = [_apart(part, rng) for part in passes]
        ordered = chain(self.of_kind("training"), *parts)
        return tuple(_shown(place, trial, first_left[trial.id]) for place, trial in enumerate(ordered))

    @property
    def _passes(self) -> list[int]:
        return sorted({trial.again for trial in self.trials})

    def _first_left(self, subject: int) -> dict[str, bool]:
        """Return for each trial, by its id, whether its first picture is on the left."""
        rng = random.Random(f"{self.seed}/sides/{subject // 2}")
        groups: dict[tuple[str, ...], list[Trial]] = {}
        for trial in self.trials:
            if not trial.again:
                group = (trial.kind, *trial.methods) if trial.kind == "test" else (trial.kind,)
                groups.setdefault(group, []).append(trial)
        sides: dict[tuple[str, tuple[str, str]], int] = {}
        for trials in groups.values():
            start = rng.randrange(2) + subject
            for index, trial in enumerate(rng.sample(trials, len(trials))):
                sides[trial.scene, trial.methods] = start + index
        return {trial.id: (sides[trial.scene, trial.methods] + trial.again) % 2 == 0 for trial in self.trials}


def load_plan(folder: Path) -> StudyPlan:
    """Return the plan of the study in a folder.

    Raises:
        StudyError: there is none, or it is not one that this dpedkit can read.
        StorageError: it cannot be read.
    """
    path = folder / PLAN_FILE
    try:
        return StudyPlan.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        known = ", ".join(sorted(file.parent.name for file in folder.parent.glob(f"*/{PLAN_FILE}"))) or "none"
        raise StudyError(f"no study {folder.name!r}", f"studies: {known}; `dpedkit study new` makes one") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise StudyError(
            f"{path}: {where}: {first['msg']}", "a plan is not edited: restore it, or make another"
        ) from None
    except OSError as error:
        raise storage_error(error, path) from error


def _shown(place: int, trial: Trial, first_left: bool) -> Shown:
    left, right = (0, 1) if first_left else (1, 0)
    pictures, methods = trial.pictures, trial.methods
    return Shown(place, trial.id, trial.kind, pictures[left], pictures[right], methods[left], methods[right])


def _apart(trials: Sequence[Trial], rng: random.Random) -> list[Trial]:
    """Return trials in a random order in which no scene follows itself, unless more than half of them are of one."""
    left = rng.sample(trials, len(trials))
    ordered: list[Trial] = []
    while left:
        last = ordered[-1].scene if ordered else ""
        scene, most = Counter(trial.scene for trial in left).most_common(1)[0]
        urgent = scene != last and 2 * most > len(left)  # put off, it would have to follow itself later
        fits = (trial for trial in left if (trial.scene == scene if urgent else trial.scene != last))
        chosen = next(fits, left[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered
