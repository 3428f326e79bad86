"""Answers are on the disk before they count; none is lost, doubled or mixed with others."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest
from study_plans import make_plan

from dpedkit.errors import AnswerRefused, StorageError, StudyError, UnknownCode
from dpedkit.stages.study.answers import ANSWERS_FILE, read_answers
from dpedkit.stages.study.collecting import collecting

PLAN = make_plan()


def given(folder: Path) -> list[list[tuple[int, str]]]:
    return [[(each.place, each.side) for each in one.answers] for one in read_answers(folder, PLAN).subjects]


def test_an_answer_says_what_stood_where_and_a_session_goes_on_by_its_code_after_a_restart(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN) as answers:
        code = answers.start()
        first = answers.next(code)
        assert first is not None
        answers.give(code, 0, "left", 812.4)
    with collecting(tmp_path, PLAN) as answers:
        other = answers.start()
        assert answers.advance(code.lower() + " ") == (1, len(PLAN.session(0)))
        assert answers.next(code) == PLAN.session(0)[1]
        assert answers.session(other) == PLAN.session(1)
        answers.give(code, 1, "right", 1e9)
    (answer, late), none = (one.answers for one in read_answers(tmp_path, PLAN).subjects)
    assert (answer.trial, answer.left, answer.right, answer.chosen, answer.ms) == (
        first.trial,
        first.left_method,
        first.right_method,
        first.left_method,
        812,
    )
    assert late.ms == 3_600_000
    assert none == []


def test_the_session_ends(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN) as answers:
        code = answers.start()
        for place in range(len(PLAN.session(0))):
            shown = answers.next(code)
            assert shown is not None
            assert shown.place == place
            answers.give(code, place, "left", 500)
        assert answers.next(code) is None
        with pytest.raises(AnswerRefused, match="is not next"):
            answers.give(code, len(PLAN.session(0)), "left", 500)


def test_the_same_answer_again_is_no_other_and_another_is_refused(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN) as answers:
        code = answers.start()
        answers.give(code, 0, "left", 700)
        answers.give(code, 0, "left", 9000)
        for place, side, why in ((0, "right", "answered otherwise"), (2, "left", "is not next"), (-1, "left", "next")):
            with pytest.raises(AnswerRefused, match=why):
                answers.give(code, place, side, 700)  # type: ignore[arg-type]
        with pytest.raises(UnknownCode):
            answers.give("AAAAAAAA", 0, "left", 700)
    assert given(tmp_path) == [[(0, "left")]]


def test_what_is_kept_is_all_that_is_promised(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN, today=lambda: date(2026, 11, 27)) as answers:
        answers.give(answers.start(), 0, "left", 700)
    header, started, answer = map(json.loads, (tmp_path / ANSWERS_FILE).read_text().splitlines())
    assert set(header) == {"kind", "study", "plan", "simulated"}
    assert set(started) == {"kind", "subject", "code", "day"}
    assert started["day"] == "2026-11-27"
    assert set(answer) == {"kind", "subject", "place", "trial", "trial_kind", "left", "right", "side", "ms"}


def test_a_line_that_was_cut_off_never_counted_and_spoils_nothing(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN) as answers:
        code = answers.start()
        answers.give(code, 0, "left", 700)
        answers.give(code, 1, "right", 700)
    path = tmp_path / ANSWERS_FILE
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        assert given(tmp_path) == [[(0, "left")]]
        with collecting(tmp_path, PLAN) as answers:
            answers.give(code, 1, "right", 700)
        assert path.read_bytes() == whole


def test_a_damaged_line_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN) as answers:
        code = answers.start()
        for place in range(3):
            answers.give(code, place, "left", 700)
    path = tmp_path / ANSWERS_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (
        [*lines[:3], b"\0" * 20 + b"\n", *lines[4:]],  # a page that a power cut left empty
        [*lines[:3], *lines[4:]],  # an answer is missing
        [*lines[:4], *lines[3:]],  # an answer is doubled
        [*lines[:3], lines[0], *lines[3:]],  # another file's lines were added
        lines[1:],
    ):
        path.write_bytes(b"".join(damaged))
        with pytest.raises(StudyError, match="is damaged"), collecting(tmp_path, PLAN):
            pass
        assert path.read_bytes() == b"".join(damaged)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"trial": "test-999"}, "the plan has no such pair"),
        ({"left": "other"}, "the plan has no such pair"),
        ({"left": "degraded"}, "the plan has no such pair"),
        ({"trial_kind": "catch"}, "the plan has no such pair"),
        ({}, "answered trial training-000 before"),
    ],
)
def test_an_answer_to_a_pair_that_is_not_in_the_plan_is_damage(
    tmp_path: Path, changed: dict[str, str], why: str
) -> None:
    with collecting(tmp_path, PLAN) as answers:
        answers.give(answers.start(), 0, "left", 700)
    path = tmp_path / ANSWERS_FILE
    line = json.loads(path.read_text().splitlines()[-1]) | {"place": 1} | changed
    path.write_text(path.read_text() + json.dumps(line) + "\n")
    with pytest.raises(StudyError, match=rf"line 4 is damaged: .*{why}"):
        read_answers(tmp_path, PLAN)


def test_answers_to_another_plan_or_of_simulated_subjects_are_never_mixed_in(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN, simulated={"sd": 0.7}) as answers:
        answers.start()
    with pytest.raises(StudyError, match="simulated subjects gave"), collecting(tmp_path, PLAN):
        pass
    with pytest.raises(StudyError, match="another plan"):
        read_answers(tmp_path, PLAN.model_copy(update={"seed": 8}), simulated=True)


def test_one_process_collects_at_a_time(tmp_path: Path) -> None:
    with (
        collecting(tmp_path, PLAN),
        pytest.raises(StorageError, match="another process"),
        collecting(tmp_path, PLAN),
    ):
        pass


def test_threads_lose_and_double_nothing(tmp_path: Path) -> None:
    with collecting(tmp_path, PLAN) as answers:

        def answer_all() -> None:
            code = answers.start()
            for place in range(20):
                for _ in range(2):
                    answers.give(code, place, "left", 1)

        threads = [threading.Thread(target=answer_all) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert given(tmp_path) == [[(place, "left") for place in range(20)]] * 16


FILLER = """
import resource, signal, sys
from pathlib import Path
from study_plans import make_plan
from dpedkit.errors import StorageError
from dpedkit.stages.study.collecting import collecting
folder, plan = Path(sys.argv[1]), make_plan()
with collecting(folder, plan) as answers:
    code = answers.start()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    room = (folder / "answers.jsonl").stat().st_size + 400
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    place = 0
    try:
        while True:
            answers.give(code, place, "left", 700)
            place += 1
    except StorageError as error:
        print(place, error.cause)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    answers.give(code, place, "right", 700)
"""


def test_an_answer_for_which_there_is_no_room_does_not_count_and_may_be_given_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLER, tmp_path],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    place = int(done.stdout.split()[0])
    assert place > 0
    assert given(tmp_path) == [[(each, "left") for each in range(place)] + [(place, "right")]]


TELLER = """
import sys
from pathlib import Path
from study_plans import make_plan
from dpedkit.stages.study.collecting import collecting
with collecting(Path(sys.argv[1]), make_plan()) as answers:
    code = answers.start()
    print(code, flush=True)
    place = answers.advance(code).done
    while place < len(answers.session(code)):
        answers.give(code, place, "left", 1)
        print(place, flush=True)
        place += 1
"""


def test_no_answer_that_was_confirmed_is_lost_to_kill_9(tmp_path: Path) -> None:
    rng = random.Random(1)
    for subject in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", TELLER, tmp_path],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        confirmed = [process.stdout.readline() for _ in range(rng.randint(1, 30))]
        process.send_signal(signal.SIGKILL)
        confirmed += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        mine = read_answers(tmp_path, PLAN).subjects[subject]
        assert confirmed[0].strip() == mine.started.code
        told = [int(line) for line in confirmed[1:] if line.endswith("\n")]
        assert len(mine.answers) - len(told) in (0, 1)  # one may be on the disk, and its confirmation not yet out
        assert [each.place for each in mine.answers][: len(told)] == told
