"""Who is left out, what is said of few or of nobody, and the page."""

from __future__ import annotations

import re
from dataclasses import asdict
from itertools import count
from pathlib import Path

import pytest
from study_given import Choice, given_by, made
from study_plans import make_plan
from study_subjects import write_study

from dpedkit.errors import StudyError, UsageError
from dpedkit.progress import Silent
from dpedkit.stages.study.answers import ANSWERS_FILE, read_answers
from dpedkit.stages.study.collecting import collecting
from dpedkit.stages.study.exclusions import judge_subject
from dpedkit.stages.study.plan import DEGRADED, Shown, Side, StudyPlan
from dpedkit.stages.study.report import still_needed, write_study_report
from dpedkit.stages.study.results import analyse
from dpedkit.stages.study.shares import holm
from dpedkit.stages.study.simulate import SIMULATED, Population, simulate_study, true_shares
from dpedkit.stages.study.states import StudyState, study_states
from dpedkit.workspace import Workspace, create_workspace

PLAN = make_plan(scenes=8, catch=10)
REAL = len(PLAN.of_kind("test", "repeat"))  # 48


def careful(*, catch_wrong: int = 0, left: int = REAL // 2, ms: float = 900) -> Choice:
    """One who takes the spoilt picture so often, and the left of so many pairs that are no catch trials."""
    catches, pairs = count(), count()

    def choose(_subject: int, shown: Shown, _scene: str) -> tuple[Side, float]:
        if shown.kind == "training":
            return "left", 1  # counts for nothing
        if shown.kind != "catch":
            return ("left" if next(pairs) < left else "right"), ms
        spoilt: Side = "left" if shown.left_method == DEGRADED else "right"
        better: Side = "right" if spoilt == "left" else "left"
        return (spoilt if next(catches) < catch_wrong else better), ms

    return choose


def why_out(choice: Choice, at_most: int = 10**6) -> tuple[str, ...]:
    (subject,) = given_by(PLAN, choice, subjects=1, at_most=at_most).subjects
    return judge_subject(PLAN, subject).out


def test_each_rule_leaves_out_whom_it_should_and_nobody_at_its_limit() -> None:
    assert why_out(careful(catch_wrong=3)) == ()
    assert why_out(careful(catch_wrong=4)) == ("60% of catch trials right, less than 70%",)
    assert why_out(careful(ms=300)) == ()
    assert why_out(careful(ms=299)) == ("half of the answers within 299 ms, 300 is the least",)
    assert why_out(careful(left=45)) == ()
    assert why_out(careful(left=46)) == ("96% of answers on the left, more than 95%",)
    assert why_out(careful(left=2)) == ("96% of answers on the right, more than 95%",)
    half = len(PLAN.trials) // 2 + 1
    assert why_out(careful(left=9), half) == ()
    assert why_out(careful(left=9), half - 1) == (f"answered {half - 1} of {len(PLAN.trials)}, fewer than 50%",)
    assert len(why_out(careful(catch_wrong=9, ms=100, left=48))) == 3


def test_who_is_left_out_changes_nothing_but_the_list_of_who_is() -> None:
    crowd = made(PLAN, Population({"net": 0.6, "dslr": 1.5}, lapses=0), subjects=12, seed=4)
    spoiler = careful(catch_wrong=10)
    given = given_by(PLAN, lambda who, *shown: (spoiler if who == 11 else crowd.answer)(who, *shown), subjects=12)
    with_spoiler = analyse(PLAN, given)
    given.subjects.pop()
    without = analyse(PLAN, given)
    assert (with_spoiler.subjects, with_spoiler.counted, without.counted) == (12, 11, 11)
    assert with_spoiler.comparisons == without.comparisons
    assert with_spoiler.scores == without.scores
    assert with_spoiler.conduct[:-1] == without.conduct


def test_training_and_catch_trials_count_for_no_method() -> None:
    results = analyse(PLAN, given_by(PLAN, careful(), subjects=1))
    assert results.answers == REAL
    assert sum(each.share.answers for each in results.comparisons if each.share) == REAL
    assert sum(of for each in results.comparisons for _, of in each.by_scene.values()) == REAL


def test_each_run_has_both_of_the_posters_statements() -> None:
    pairs = (("one", "phone"), ("two", "phone"), ("one", "dslr"), ("two", "dslr"), ("dslr", "phone"), ("one", "two"))
    plan = make_plan(methods=("phone", "one", "two", "dslr"), pairs=pairs)
    crowd = made(plan, Population({"one": 2, "two": 2, "dslr": 2}), subjects=40, seed=0)
    results = analyse(plan, given_by(plan, crowd.answer, subjects=40))
    assert [each.text for each in results.statements] == [
        "one over phone:",
        "two over phone:",
        "one against DSLR, near chance?",
        "two against DSLR, near chance?",
    ]
    assert results.statements[0].comparison.verdict.startswith("one preferred: 0.8")
    p = [each.share.p for each in results.comparisons if each.share and each.share.p is not None]
    assert [each.p_holm for each in results.comparisons] == holm(p)
    needed = [still_needed(plan, each) for each in results.comparisons]
    assert all(each is not None and each < 200 for each in needed)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws", {})


def planned(workspace: Workspace, plan: StudyPlan) -> Path:
    write_study(workspace.root, plan)
    return workspace.studies / plan.name


def test_the_page_says_what_was_found_and_needs_nothing_else(workspace: Workspace) -> None:
    plan = make_plan(scenes=4).model_copy(update={"question": "Which <b>one</b>?", "split": "train"})
    folder = planned(workspace, plan)
    population = Population({"net": 1.1, "dslr": 1.2}, careless=0.3)
    simulated = simulate_study(folder, plan, population=population, subjects=12, seed=1, progress=Silent())
    report = write_study_report(workspace, plan.name, simulated=True)
    page = report.page.read_text()
    assert report.page == folder / SIMULATED / "report.html"
    assert report.truth == simulated.truth
    assert report.stamps[:2] == [
        "simulated: nobody gave these answers",
        "train split: networks have learnt from these photos",
    ]
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "Which &lt;b&gt;one&lt;/b&gt;?" in page
    for each in report.results.comparisons:
        assert each.share
        assert each.share.low is not None
        shown = f"<td>{each.share.value:.3f}<small>{each.share.low:.3f} to {each.share.high:.3f}</small></td>"
        assert shown in page
        assert f"<td>{simulated.truth[f'{each.first} over {each.second}']:.3f}</td>" in page
    assert "if answers were<br>independent" in page
    assert report.results.counted < 12
    assert page.count('<td class="text">left out</td>') == 12 - report.results.counted
    assert not (folder / ANSWERS_FILE).exists()
    with pytest.raises(StudyError, match="no answers yet"):
        write_study_report(workspace, plan.name, simulated=False)


def test_the_truth_of_a_simulation_is_what_its_first_line_says(workspace: Workspace) -> None:
    folder = planned(workspace, PLAN)
    population = Population({"dslr": 2.0}, sd=0)
    made_of = simulate_study(folder, PLAN, population=population, subjects=2, seed=9, progress=Silent())
    header = read_answers(folder / SIMULATED, PLAN, simulated=True).header
    assert header.simulated
    assert true_shares(PLAN, header.simulated) == made_of.truth
    assert 0.8 < 1 - made_of.truth["phone over dslr"] < 0.92  # e^2 / (1 + e^2) = 0.88, but for scenes and lapses
    assert 0.4 < made_of.truth["phone over net"] < 0.6
    with pytest.raises(UsageError, match="no method 'dsrl' in demo"):
        simulate_study(folder, PLAN, population=Population({"dsrl": 1}), subjects=2, seed=9, progress=Silent())
    assert read_answers(folder / SIMULATED, PLAN, simulated=True).header == header


@pytest.mark.parametrize("subjects", [0, 1, 2])
def test_nobody_one_and_two_have_a_page_without_promises(workspace: Workspace, subjects: int) -> None:
    plan = make_plan(scenes=3, repeats=1, catch=2, training=1)
    with collecting(planned(workspace, plan), plan) as answers:
        answers.start()  # and closes the page
        for _ in range(subjects):
            code = answers.start()
            for shown in answers.session(code):
                answers.give(code, shown.place, "left" if shown.left_method != DEGRADED else "right", 1000)
    report = write_study_report(workspace, plan.name, simulated=False)
    page, results = report.page.read_text(), report.results
    assert (results.subjects, results.answers, report.truth) == (subjects + 1, 9 * subjects, None)
    assert (results.silent, results.excluded) == (1, [])
    assert f"{subjects + 1} began (1 answered nothing), {subjects} count." in page
    assert {each.word for each in results.comparisons} <= {"no answers", "not enough answers"}
    assert all(score.low is None for score in results.scores)
    assert bool(results.scores) == bool(subjects)
    assert ("no answers" in page) == (not subjects)
    assert "nan" not in page.lower()
    assert asdict(results)["conduct"] == [asdict(each) for each in results.conduct]


def test_a_power_cut_costs_the_report_one_answer_at_most(workspace: Workspace) -> None:
    plan = make_plan(scenes=3, repeats=1, catch=2, training=1)
    folder = planned(workspace, plan)
    with collecting(folder, plan) as answers:
        code = answers.start()
        for shown in answers.session(code):
            answers.give(code, shown.place, "left" if shown.left_method != DEGRADED else "right", 1000)
    whole = (folder / ANSWERS_FILE).read_bytes()
    (folder / ANSWERS_FILE).write_bytes(whole[:-7])
    cut = write_study_report(workspace, plan.name, simulated=False).results
    assert cut.conduct[0].answered == len(plan.trials) - 1
    assert (folder / ANSWERS_FILE).read_bytes() == whole[:-7]


def test_how_far_each_study_is(workspace: Workspace) -> None:
    assert study_states(workspace.studies) == {}
    plan = make_plan(scenes=3, repeats=1, catch=2, training=1)
    folder = planned(workspace, plan)
    assert study_states(workspace.studies) == {"demo": StudyState(planned=54)}
    with collecting(folder, plan) as answers:
        for asked in (12, 3, 0):
            code = answers.start()
            for place in range(asked):
                answers.give(code, place, "left", 1000)
        assert study_states(workspace.studies) == {"demo": StudyState(54, began=2, finished=1, answers=15)}
    with (folder / ANSWERS_FILE).open("a") as file:
        file.write("{}\n")
    assert "line 20 is damaged" in str(study_states(workspace.studies)["demo"])
