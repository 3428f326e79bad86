"""Take answers from many subjects at once, and keep each before the subject hears of it."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from dpedkit.errors import AnswerRefused, UnknownCode
from dpedkit.files import locked, storage_error, write_atomic
from dpedkit.stages.study.answers import ANSWERS_FILE, Answer, Given, Header, Line, Started, Subject, read_answers
from dpedkit.stages.study.plan import Shown, Side, StudyPlan
from dpedkit.types import Json

LONGEST_MS = 3_600_000
"""An answer's time is kept up to an hour: what is longer was a pause."""

_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ"  # none that is taken for another, or for a digit
_CODE_LENGTH = 8


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
            answer = answer_to(subject.started.subject, session[place], side, ms)
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

    def _append(self, line: Line) -> None:
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


def answer_to(subject: int, shown: Shown, side: Side, ms: float) -> Answer:
    """Return what is written down of a choice that took so many ms."""
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
