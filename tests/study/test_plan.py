"""Sessions: seeded, balanced, mirrored, spread out; plans are read whole or not at all."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from study_plans import METHODS, make_plan

from dpedkit.errors import StudyError
from dpedkit.stages.study.plan import DEGRADED, PLAN_FILE, StudyMethod, load_plan
from dpedkit.stages.study.trials import all_comparisons, lay_out

SUBJECTS = range(12)
PLAN = make_plan(scenes=9, catch=6)


def test_a_session_shows_every_trial_once_training_first_and_first_showings_before_repeats() -> None:
    for subject in SUBJECTS:
        session = PLAN.session(subject)
        assert sorted(shown.trial for shown in session) == sorted(trial.id for trial in PLAN.trials)
        assert [shown.place for shown in session] == list(range(len(PLAN.trials)))
        kinds = [shown.kind for shown in session]
        assert set(kinds[:3]) == {"training"}
        assert "training" not in kinds[3:]
        assert kinds.index("repeat") > len(kinds) - 1 - kinds[::-1].index("test")
        half = len(kinds) // 2
        assert min(kinds[:half].count("catch"), kinds[half:].count("catch")) >= 2


def test_the_seed_and_the_number_alone_decide() -> None:
    assert PLAN.session(3) == make_plan(scenes=9, catch=6).session(3)
    orders = {tuple(shown.trial for shown in PLAN.session(subject)) for subject in SUBJECTS}
    assert len(orders) == len(SUBJECTS)
    assert PLAN.model_copy(update={"seed": 8}).session(3) != PLAN.session(3)


@pytest.mark.parametrize("scenes", [8, 9])
@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_sides_are_balanced_within_a_comparison_and_mirrored_between_neighbours(scenes: int, repeats: int) -> None:
    plan = make_plan(scenes=scenes, repeats=repeats)
    trials = {trial.id: trial for trial in plan.trials}
    for subject in SUBJECTS:
        left = Counter(
            trials[shown.trial].methods if shown.kind in ("test", "repeat") else shown.kind
            for shown in plan.session(subject)
            if shown.left_method == trials[shown.trial].methods[0]
        )
        of = scenes * repeats
        assert all(abs(2 * left[pair] - of) <= 1 for pair in plan.comparisons)
        assert left["catch"] == 2
        assert left["training"] in (1, 2)
    for one, other in ((0, 1), (6, 7)):
        mine = {shown.trial: shown.left for shown in plan.session(one)}
        theirs = {shown.trial: shown.right for shown in plan.session(other)}
        assert mine == theirs


def test_which_pair_has_which_side_is_drawn_anew_for_every_two_subjects() -> None:
    sides = {tuple(sorted((shown.trial, shown.left) for shown in PLAN.session(subject))) for subject in SUBJECTS}
    assert len(sides) == len(SUBJECTS)


def test_repeats_swap_sides() -> None:
    trials = {trial.id: trial for trial in PLAN.trials}
    for subject in SUBJECTS:
        shown = {(t.scene, t.methods, t.again): s.left for s in PLAN.session(subject) for t in [trials[s.trial]]}
        for (scene, methods, again), left in shown.items():
            if again:
                assert left != shown[scene, methods, 0]


@pytest.mark.parametrize("scenes", [2, 3, 9])
def test_no_scene_comes_twice_in_a_row(scenes: int) -> None:
    plan = make_plan(scenes=scenes, repeats=1, catch=min(scenes, 4))
    scene = {trial.id: trial.scene for trial in plan.trials}
    for subject in range(60):
        order = [scene[shown.trial] for shown in plan.session(subject)]
        assert all(one != other for one, other in pairwise(order))


def test_only_a_plan_that_is_whole_and_known_is_read(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    path = tmp_path / "demo" / PLAN_FILE
    text = PLAN.model_dump_json(indent=1)
    path.write_text(text)
    assert load_plan(path.parent) == PLAN
    assert load_plan(path.parent).digest == PLAN.digest
    for damaged in (text[:-200], text.replace('"version": 1', '"version": 2'), text.replace('"seed"', '"sead"')):
        path.write_text(damaged)
        with pytest.raises(StudyError, match=r"plan\.json"):
            load_plan(path.parent)
    with pytest.raises(StudyError, match="no study 'other'") as missing:
        load_plan(tmp_path / "other")
    assert "studies: demo" in missing.value.remedy


def test_a_catch_trial_is_of_the_method_and_its_spoilt_picture() -> None:
    assert all(trial.methods == (METHODS[-1], DEGRADED) for trial in PLAN.of_kind("catch"))


def method(name: str, kind: str) -> StudyMethod:
    return StudyMethod.model_validate({"name": name, "kind": kind, "source": name})


def test_trials_are_every_comparison_on_every_scene_with_one_catch_trial_to_ten() -> None:
    methods = [method("phone", "phone"), method("one", "enhanced"), method("two", "enhanced"), method("dslr", "dslr")]
    pairs = all_comparisons(methods)
    over_phone, against_dslr = [("one", "phone"), ("two", "phone")], [("one", "dslr"), ("two", "dslr")]
    assert pairs == [*over_phone, *against_dslr, ("dslr", "phone"), ("one", "two")]
    scenes = [f"s{index}" for index in range(12)]
    for shown, repeats, catches in ((12, 2, 14), (12, 1, 7), (2, 1, 4), (1, 1, 4)):
        slots = lay_out(pairs, methods, scenes=scenes[:shown], training=["t0", "t1"], repeats=repeats, seed=1)
        kinds = Counter(slot.kind for slot in slots)
        assert kinds["test"] == 6 * shown
        assert kinds["repeat"] == 6 * shown * (repeats - 1)
        assert (kinds["training"], kinds["catch"]) == (2, catches)
        assert len(set(slots)) == len(slots)
    catch = lay_out(pairs, methods, scenes=scenes, training=["t0"], repeats=2, seed=1)[-14:]
    assert [slot.methods for slot in catch] == [("dslr", DEGRADED)] * 12 + [("two", DEGRADED)] * 2
    assert {slot.scene for slot in catch} == set(scenes)
