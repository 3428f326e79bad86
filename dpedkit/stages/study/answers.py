"""answers.jsonl: what subjects answered, a line each, written for good before the subject hears of it.

What is kept: for each subject a number, a random code to go on with later, and the day; for each answer its place in
the session, the trial, which method stood where, the side that was chosen, and how long it took, ms. Not kept: names,
addresses, anything that a browser tells of itself, or a time of day.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dpedkit.errors import AnswerRefused, StudyError, UnknownCode
from dpedkit.files import locked, storage_error, write_atomic
from dpedkit.stages.study.plan import Kind, Shown, Side, StudyPlan
from dpedkit.types import Json

ANSWERS_FILE = "answers.jsonl"
LONGEST_MS = 3_600_000
"""An answer's time is kept up to an hour: what is longer was a pause."""

_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ"  # none that is taken for another, or for a digit
_CODE_LENGTH = 8


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Header(_Line):
    """The first line.

    plan       digest of the plan
    simulated  what subjects were simulated with; None: they were people
    """

    kind: Literal["study"] = "study"
    study: str
    plan: str
    simulated: Json | None = None


class Started(_Line):
    """A subject began."""

    kind: Literal["subject"] = "subject"
    subject: int
    code: str
    day: date


class Answer(_Line):
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


class Advance(NamedTuple):
    """How far a subject is."""

    done: int
    of: int


class Answers:
    """A study's answers while they are collected; made by `collecting`. Every method may be called from any thread."""

    def __init__(
        self, plan: StudyPlan, path: Path, given: Given, *, rng: random.Random, today: Callable[[], date]
    ) -> None:
        self.plan, self._path, self._rng, self._today = plan, path, rng, today
        self._subjects = {subject.started.code: subject for subject in given.subjects}
        self._sessions: dict[int, tuple[Shown, ...]] = {}
        self._end = given.whole_bytes
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def start(self) -> str:
        """Begin a session; return the code that it goes on with.

        Raises:
            StorageError: it could not be written down.
        """
        with self._lock:
            code = next(code for code in self._codes() if code not in self._subjects)
            started = Started(subject=len(self._subjects), code=code, day=self._today())
            self._append(started)
            self._subjects[code] = Subject(started)
        return code

    def advance(self, code: str) -> Advance:
        """Return how many of the session's pairs were answered, and how many there are; raises as `next` does."""
        with self._lock:
            return Advance(len(self._find(code).answers), len(self._session(code)))

    def next(self, code: str) -> Shown | None:
        """Return what is to be shown next; nothing when the session is done.

        Raises:
            UnknownCode: nobody has this code.
        """
        with self._lock:
            session, done = self._session(code), len(self._find(code).answers)
            return session[done] if done < len(session) else None

    def session(self, code: str) -> tuple[Shown, ...]:
        """Return all that is shown, in order, for who wants to load pictures ahead; raises as `next` does."""
        with self._lock:
            return self._session(code)

    def give(self, code: str, place: int, side: Side, ms: float) -> None:
        """Write an answer down; when this returns, it is on the disk.

        The same answer again, as a browser sends it that heard nothing, is no other answer, whatever its time.

        place  `Shown.place`
        ms     from when both pictures were seen to the answer

        Raises:
            UnknownCode: nobody has this code.
            AnswerRefused: the place was answered otherwise before, or it is not the next one.
            StorageError: it could not be written down: it does not count, and may be given again.
        """
        with self._lock:
            subject, session = self._find(code), self._session(code)
            if 0 <= place < len(subject.answers):
                if subject.answers[place].side == side:
                    return
                raise AnswerRefused(f"place {place} was answered otherwise", "the first answer holds")
            if place != len(subject.answers) or place >= len(session):
                raise AnswerRefused(f"place {place} is not next", f"next is {len(subject.answers)} of {len(session)}")
            answer = _answer(subject.started.subject, session[place], side, ms)
            self._append(answer)
            subject.answers.append(answer)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _codes(self) -> Iterator[str]:
        while True:
            yield "".join(self._rng.choices(_LETTERS, k=_CODE_LENGTH))

    def _find(self, code: str) -> Subject:
        try:
            return self._subjects[_tidy(code)]
        except KeyError:
            raise UnknownCode(f"no subject has the code {code!r}", "check it, or start anew") from None

    def _session(self, code: str) -> tuple[Shown, ...]:
        number = self._find(code).started.subject
        if number not in self._sessions:
            self._sessions[number] = self.plan.session(number)
        return self._sessions[number]

    def _append(self, line: _Line) -> None:
        """Write a line and force it to the disk; if that fails, the file is as it was before."""
        data = line.model_dump_json().encode() + b"\n"
        try:
            try:
                if os.fstat(self._file).st_size != self._end:  # a write that failed, and could not be taken back then
                    os.ftruncate(self._file, self._end)
                written = 0
                while written < len(data):
                    written += os.write(self._file, data[written:])
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, self._end)
                raise
        except OSError as error:
            raise storage_error(error, self._path) from error
        self._end += len(data)


@contextmanager
def collecting(
    folder: Path,
    plan: StudyPlan,
    *,
    simulated: Json | None = None,
    rng: random.Random | None = None,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> Iterator[Answers]:
    """Collect answers into the folder's answers.jsonl, which goes on where it ended; one process at a time.

    simulated  what simulated subjects are made of; None: subjects are people
    rng        draws codes; None: the system's own, which cannot be guessed

    Raises:
        StorageError: another process collects them, or the file cannot be written.
        StudyError: what is there is damaged, or belongs to another plan.
    """
    path = folder / ANSWERS_FILE
    with locked(folder / ".answers.lock", f"collecting answers in {folder}"):
        if not path.exists():
            header = Header(study=plan.name, plan=plan.digest, simulated=simulated)
            write_atomic(path, header.model_dump_json().encode() + b"\n")
        given = read_answers(folder, plan, simulated=simulated is not None)
        answers = Answers(plan, path, given, rng=rng or random.SystemRandom(), today=today)
        try:
            yield answers
        finally:
            answers.close()


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
    for number, line in lines:
        _take_in(subjects, _parse(path, number, line), path, number)
    return Given(header, subjects, whole_bytes)


_WHERE_FROM = {False: "`dpedkit study serve` collects them", True: "`dpedkit study simulate` makes them"}
_BY = {False: "people gave these answers", True: "simulated subjects gave these answers"}


def _take_in(subjects: list[Subject], found: Header | Started | Answer, path: Path, number: int) -> None:
    """Add a line to the subjects, if it is what comes next."""
    if isinstance(found, Started) and found.subject == len(subjects):
        subjects.append(Subject(found))
    elif (
        isinstance(found, Answer)
        and 0 <= found.subject < len(subjects)
        and found.place == len(subjects[found.subject].answers)
    ):
        subjects[found.subject].answers.append(found)
    else:
        raise _damaged(path, number, "it does not go on from the lines before")


def _parse(path: Path, number: int, line: bytes) -> Header | Started | Answer:
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        raise _damaged(path, number, error.errors()[0]["msg"]) from None


def _damaged(path: Path, number: int, why: str) -> StudyError:
    return StudyError(f"{path}, line {number} is damaged: {why}", "restore the file from a copy, or take that line out")


def _answer(subject: int, shown: Shown, side: Side, ms: float) -> Answer:
    return Answer(
        subject=subject,
        place=shown.place,
        trial=shown.trial,
        trial_kind=shown.kind,
        left=shown.left_method,
        right=shown.right_method,
        side=side,
        ms=round(min(max(ms, 0), LONGEST_MS)),
    )


def _tidy(code: str) -> str:
    """Return a code as it was given out, however it was typed."""
    return "".join(letter for letter in code.upper() if letter in _LETTERS)
