"""`dpedkit study serve`: many subjects at once, kills, and what subjects are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from command_line import CommandLine
from page_server import serving
from study_subjects import answer_through_a_kill, lines

from dpedkit.stages.study.plan import StudyPlan

SUBJECTS = 12  # at once; the soak takes 50
NAME = "demo"


def test_many_at_once_and_a_kill_in_the_middle(cli: CommandLine, root: Path, plan: StudyPlan) -> None:
    assert answer_through_a_kill(cli, root, plan, subjects=SUBJECTS, seed=1) == "144 answers"


def test_subjects_are_told_no_method_and_leave_no_trace(cli: CommandLine, root: Path, plan: StudyPlan) -> None:
    with serving(cli, root, command=("study", "serve", NAME)) as address, httpx.Client(base_url=address) as client:
        told = client.post("/api/start", json={}, headers={"User-Agent": "Spy 1.0", "X-Forwarded-For": "203.0.113.9"})
        session = told.json()
        assert set(session) == {"code", "done", "of", "pairs"}
        assert all(set(pair) == {"left", "right", "practice"} for pair in session["pairs"])
        page = client.get("/").text
        assert plan.question in page
        assert not any(method.source in page for method in plan.methods)
        assert "set-cookie" not in told.headers
        client.post("/api/answers", json={"code": session["code"], "place": 0, "side": "left", "ms": 5})
        for pair in session["pairs"]:
            assert client.get(f"/pictures/{pair['left']}").status_code == 200
        for path in (
            "/pictures/..%2fplan.json",
            "/pictures/plan.json",
            "/pictures/..%2f..%2f..%2fdpedkit.toml",
            "/review",
        ):
            assert client.get(path).status_code == 404
    kept = (root / "study" / NAME / "answers.jsonl").read_text()
    assert "Spy" not in kept
    assert "203.0.113.9" not in kept
    assert "127.0.0.1" not in kept


def test_what_is_no_answer_is_refused(cli: CommandLine, root: Path) -> None:
    with serving(cli, root, command=("study", "serve", NAME)) as address, httpx.Client(base_url=address) as client:
        code = client.post("/api/start", json={}).json()["code"]

        def give(**changed: Any) -> httpx.Response:
            return client.post("/api/answers", json={"code": code, "place": 0, "side": "left", "ms": 900} | changed)

        assert give(code="AAAAAAAA").status_code == 404
        assert give(place=1).status_code == 409
        for wrong in ({"side": "up"}, {"ms": -1}, {"ms": "x"}, {"place": True}, {"code": 3}):
            assert give(**wrong).status_code == 400
        assert give().json() == {"done": 1, "of": 12}
        assert give().json() == {"done": 1, "of": 12}  # once more, as of a browser that heard nothing
        assert give(side="right").status_code == 409
        assert client.post("/api/session", json={"code": f" {code.lower()} "}).json()["done"] == 1
        assert client.post("/api/answers", json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert [line["side"] for line in lines(root, NAME) if line["kind"] == "answer"] == ["left"]


def test_two_servers_of_one_study_are_one_too_many(cli: CommandLine, root: Path) -> None:
    with serving(cli, root, command=("study", "serve", NAME)):
        told = cli.error("study", "serve", NAME, "--port", 0, "--no-browser", cwd=root, code=1)
        assert "another process is collecting answers" in told
    assert "no study 'nothing'" in cli.error("study", "serve", "nothing", cwd=root, code=1)
