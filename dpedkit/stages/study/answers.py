"""answers.jsonl: what subjects answered, a line each, written for good before the subject hears of it.

What is kept: for each subject a number, a random code to go on with later, and the day; for each answer its place in
the session, the trial, which method stood where, the side that was chosen, and how long it took, ms. Not kept: names,
addresses, anything that a browser tells of itself, or a time of day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dpedkit.errors import StudyError
from dpedkit.files import storage_error
from dpedkit.stages.study.plan import Kind, Side, StudyPlan, Trial
from dpedkit.types import Json

ANSWERS_FILE = "answers.jsonl"


class Line(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Header(Line):
    """The first line.

    plan       digest of the plan
    simulated  what subjects were simulated with; None: they were people
    """

    kind: Literal["study"] = "study"
    study: str
    plan: str
    simulated: Json | None = None


class Started(Line):
    """A subject began."""

    kind: Literal["subject"] = "subject"
    subject: int
    code: str
    day: date


class Answer(Line):
    """One answer of a subject; `trial_kind` and the methods are as they were shown."""

    kind: Literal["answer"] = "answer"
    subject: int
    place: int
    trial: str
    trial_kind: Kind
    left: str
    right: str
    side: Side
    ms: int

    @property
    def chosen(self) -> str:
        """The method that was chosen."""
        return self.left if self.side == "left" else self.right


_LINE: TypeAdapter[Header | Started | Answer] = TypeAdapter(
    Annotated[Header | Started | Answer, Field(discriminator="kind")]
)


@dataclass(slots=True)
class Subject:
    """A subject, and the answers so far, by their places: none is left out before the last."""

    started: Started
    answers: list[Answer] = field(default_factory=list)


@dataclass(slots=True)
class Given:
    """All that a file holds; `whole_bytes` of it are whole lines, the rest a write that was cut off."""

    header: Header
    subjects: list[Subject]
    whole_bytes: int


def read_answers(folder: Path, plan: StudyPlan, *, simulated: bool = False) -> Given:
    """Return all answers in a folder, also while others are collected; a last line that was cut off is none.

    Raises:
        StudyError: there are none, they are damaged or belong to another plan, or simulated subjects gave them and
            people's are wanted, or the other way round.
        StorageError: the file cannot be read.
    """
    path = folder / ANSWERS_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"{plan.name} has no answers yet", _WHERE_FROM[simulated]) from None
    except OSError as error:
        raise storage_error(error, path) from error
    whole_bytes = data.rfind(b"\n") + 1
    lines = enumerate(data[:whole_bytes].splitlines(), start=1)
    _, header = next(((number, _parse(path, number, line)) for number, line in lines), (0, None))
    if not isinstance(header, Header):
        raise _damaged(path, 1, "it does not say which study this is")
    if header.plan != plan.digest:
        raise StudyError(
            f"{path} was answered to another plan than {plan.name}'s", "restore the plan: it is fixed once it is used"
        )
    if (header.simulated is not None) != simulated:
        raise StudyError(f"{path}: {_BY[header.simulated is not None]}", "they are never mixed: put the file back")
    subjects: list[Subject] = []
    trials = {trial.id: trial for trial in plan.trials}
    for number, line in lines:
        if fault := _take_in(subjects, _parse(path, number, line), trials):
            raise _damaged(path, number, fault)
    return Given(header, subjects, whole_bytes)


_WHERE_FROM = {False: "`dpedkit study serve` collects them", True: "`dpedkit study simulate` makes them"}
_BY = {False: "people gave these answers", True: "simulated subjects gave these answers"}


def _take_in(subjects: list[Subject], found: Header | Started | Answer, trials: Mapping[str, Trial]) -> str:
    """Add a line to the subjects; return why it cannot be the next one, or nothing.

    trials  of the plan, by their ids. In what order a subject sees them is not asked: it hangs on Python's random
            numbers, and what people answered must be readable for good.
    """
    if isinstance(found, Started) and found.subject == len(subjects):
        subjects.append(Subject(found))
        return ""
    if not isinstance(found, Answer) or not 0 <= found.subject < len(subjects):
        return "it does not go on from the lines before"
    answers, trial = subjects[found.subject].answers, trials.get(found.trial)
    if found.place != len(answers):
        return "it does not go on from the lines before"
    if trial is None or found.trial_kind != trial.kind or {found.left, found.right} != set(trial.methods):
        return f"the plan has no such pair: {found.left} and {found.right}, {found.trial_kind} trial {found.trial}"
    if any(answer.trial == found.trial for answer in answers):
        return f"subject {found.subject + 1} answered trial {found.trial} before"
    answers.append(found)
    return ""


def _parse(path: Path, number: int, line: bytes) -> Header | Started | Answer:
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        raise _damaged(path, number, error.errors()[0]["msg"]) from None


def _damaged(path: Path, number: int, why: str) -> StudyError:
    return StudyError(f"{path}, line {number} is damaged: {why}", "restore the file from a copy, or take that line out")
