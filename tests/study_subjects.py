"""Subjects of a study that is served for real, the server killed while they answer."""

from __future__ import annotations

import json
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from command_line import CommandLine, wait_until
from page_server import serving, started

from dpedkit.images import encode_png
from dpedkit.stages.study.answers import read_answers
from dpedkit.stages.study.plan import StudyPlan


def write_study(root: Path, plan: StudyPlan) -> None:
    folder = root / "study" / plan.name
    (folder / "pictures").mkdir(parents=True)
    for number, name in enumerate(sorted({name for trial in plan.trials for name in trial.pictures})):
        picture = np.full((plan.height, plan.width, 3), 20 + 7 * number % 200, np.uint8)
        (folder / "pictures" / name).write_bytes(encode_png(picture))
    (folder / "plan.json").write_text(plan.model_dump_json())


def lines(root: Path, name: str) -> list[dict[str, Any]]:
    """What a study's answers.jsonl holds."""
    file = root / "study" / name / "answers.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


class Subject:
    """A browser that answers by a rule of its own; it sends again what it heard nothing of."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.code, self.given, self.of = "", [], 1

    def answer_all(self, address: str, at_most: int = 10**6) -> None:
        """Answer what is left; returns when the session or the server ends."""
        with httpx.Client(base_url=address, timeout=60) as client:
            try:
                if not self.code:
                    told = client.post("/api/start", json={}).json()
                    self.code, self.of = told["code"], told["of"]
                done = client.post("/api/session", json={"code": self.code}).json()["done"]
                # what was on its way when the server ended may or may not have arrived; nothing else may differ
                assert done in (len(self.given), len(self.given) - 1)
                while done < min(self.of, at_most):
                    if done == len(self.given):
                        self.given.append(self.rng.choice(("left", "right")))
                    body = {"code": self.code, "place": done, "side": self.given[done], "ms": 900}
                    answer = client.post("/api/answers", json=body)
                    assert answer.status_code == 200, answer.text
                    done += 1
            except httpx.TransportError:
                return


def answer_through_a_kill(cli: CommandLine, root: Path, plan: StudyPlan, *, subjects: int, seed: int) -> str:
    """Let so many answer at once; kill the server in the middle, start it again, and look that nothing differs."""
    rng = random.Random(seed)
    asked = [Subject(rng.getrandbits(32)) for _ in range(subjects)]
    kill_at = rng.randrange(subjects, subjects * len(plan.trials))
    serve = ("study", "serve", plan.name)
    with ThreadPoolExecutor(subjects) as pool:
        with started(cli, root, command=serve) as (server, address):
            going = [pool.submit(subject.answer_all, address) for subject in asked]
            wait_until(lambda: len(lines(root, plan.name)) > kill_at)
            server.send_signal(signal.SIGKILL)
            server.communicate()
        for one in going:
            one.result()
        cut_short = sum(len(subject.given) < subject.of for subject in asked)
        with serving(cli, root, command=serve) as address:
            for one in [pool.submit(subject.answer_all, address) for subject in asked]:
                one.result()
    found = {one.started.code: one for one in read_answers(root / "study" / plan.name, plan).subjects}
    for subject in asked:
        assert [answer.side for answer in found.pop(subject.code).answers] == subject.given
        assert len(subject.given) == subject.of == len(plan.trials)
    # who heard nothing of the own start began again; that number is left without answers
    assert not any(one.answers for one in found.values())
    assert cut_short
    return f"{subjects * len(plan.trials)} answers"
