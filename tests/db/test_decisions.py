"""Decisions: the last one holds, none is lost, and what is rejected is not used."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpedkit.db import Corpus
from dpedkit.errors import CorpusError

PAIR = "s/0001:sony"


def verdicts(corpus: Corpus) -> dict[str, str]:
    pairs = corpus.pairs("verdict is not missing")
    return dict(zip(pairs["shot"] + ":" + pairs["phone"], pairs["verdict"], strict=True))


def test_the_last_decision_holds_and_all_are_remembered(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=2)
    first = corpus.store.decide("pair", {PAIR: "reject", "s/0002:sony": "accept"}, who="ann", why="blurred")
    second = corpus.store.decide("pair", {PAIR: "accept"}, who="ben")
    again = corpus.store.decide("pair", {PAIR: "accept"}, who="ben")
    assert (first.decided, second.decided, again.decided, again.batch) == (2, 1, 0, 0)
    assert verdicts(corpus) == {PAIR: "accept", "s/0002:sony": "accept"}
    assert corpus.pairs("decided_by = 'ben'")["decided_why"].tolist() == [""]
    history = corpus.decisions()
    assert history[["batch", "who", "why", "verdict", "decisions", "current"]].to_numpy().tolist() == [
        [1, "ann", "blurred", "accept", 1, 1],
        [1, "ann", "blurred", "reject", 1, 0],
        [2, "ben", "", "accept", 1, 1],
    ]


@pytest.mark.parametrize(("kind", "gone"), [("shot", 16), ("pair", 8), ("patch", 1)])
def test_what_is_rejected_is_not_used(build: Callable, corpus: Corpus, kind: str, gone: int) -> None:
    build.fill(shots=2)
    corpus.store.assign_splits(seed=0, shares={"train": 1.0, "val": 0.0, "test": 0.0})
    before = corpus.patches()
    first = before[before["keep"] & (before["phone"] == "sony")].iloc[0]
    key = {"shot": first["shot"], "pair": f"{first['shot']}:sony", "patch": first["patch"]}[kind]
    corpus.store.decide(kind, {key: "reject"}, who="ann")
    after = corpus.patches()
    lost = after[before["keep"] & ~after["used"]]
    column = "verdict" if kind == "patch" else f"{kind}_verdict"
    assert set(lost[column]) == {"reject"}
    assert len(after[after[column] == "reject"]) == gone
    assert corpus.patches("used")["patch"].tolist() == after["patch"][after["used"]].tolist()
    mine = after[after["used"] & (after["phone"] == "sony")]
    assert len(corpus.pair_source("sony", "train")) == len(mine)
    corpus.store.undo(who="ann")
    assert corpus.patches().equals(before)


def test_undo_restores_what_held_and_can_be_undone(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=3)
    corpus.store.decide("pair", {PAIR: "accept"}, who="ann")
    corpus.store.decide("pair", {PAIR: "reject", "s/0002:sony": "reject", "s/0003:sony": "reject"}, who="ann")
    corpus.store.decide("pair", {"s/0002:sony": "accept"}, who="ben")
    undone = corpus.store.undo(who="ann", batch=2)
    assert (undone.decided, undone.since) == (2, 1), "what ben decided since is left alone"
    assert verdicts(corpus) == {PAIR: "accept", "s/0002:sony": "accept"}
    redone = corpus.store.undo(undone.batch, who="ann")
    assert redone.decided == 2
    assert verdicts(corpus) == {PAIR: "reject", "s/0002:sony": "accept", "s/0003:sony": "reject"}
    assert corpus.decisions().drop_duplicates("batch")["undoes"].dropna().tolist() == [2, 4]


def test_undo_goes_back_batch_by_batch(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=1)
    for verdict in ("accept", "reject", ""):
        corpus.store.decide("pair", {PAIR: verdict}, who="ann")
    seen = []
    for _ in range(3):
        corpus.store.undo(who="ann")
        seen.append(verdicts(corpus).get(PAIR, ""))
    assert seen == ["reject", "accept", ""]
    with pytest.raises(CorpusError, match="no decision is left to undo"):
        corpus.store.undo(who="ann")
    with pytest.raises(CorpusError, match="there is no batch 99"):
        corpus.store.undo(99, who="ann")


def test_of_two_who_decide_at_once_the_second_is_told(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=2)
    seen = dict.fromkeys([PAIR, "s/0002:sony"], 0)
    corpus.store.decide("pair", {PAIR: "reject"}, who="ann", seen={PAIR: 0})
    late = corpus.store.decide("pair", dict.fromkeys(seen, "accept"), who="ben", seen=seen)
    assert late.decided == 1
    assert [(conflict.key, conflict.verdict, conflict.who) for conflict in late.conflicts] == [(PAIR, "reject", "ann")]
    assert verdicts(corpus) == {PAIR: "reject", "s/0002:sony": "accept"}
    now = int(corpus.pairs("shot = 's/0001' and phone = 'sony'")["decision"].iloc[0])
    assert corpus.store.decide("pair", {PAIR: "accept"}, who="ben", seen={PAIR: now}).decided == 1


def test_a_rule_leaves_alone_what_a_person_decided(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=2)
    corpus.store.decide("pair", {PAIR: "accept"}, who="ann")
    rule = dict.fromkeys([PAIR, "s/0002:sony"], "reject")
    ruled = corpus.store.decide("pair", rule, who="rule sharp@1")
    assert (ruled.decided, ruled.by_people) == (1, 1)
    assert corpus.store.decide("pair", rule, who="rule sharp@1").decided == 0
    assert verdicts(corpus) == {PAIR: "accept", "s/0002:sony": "reject"}
    assert corpus.store.decide("pair", rule, who="rule sharp@1", over_people=True).decided == 1


def test_tags_are_found_and_undone(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=2)
    corpus.store.decide("pair", {PAIR: "on", "s/0002:iphone": "on"}, who="ann", tag="Night 100%")
    corpus.store.decide("pair", {PAIR: "on"}, who="ann", tag="wet")
    assert corpus.tags() == {PAIR: ["Night 100%", "wet"], "s/0002:iphone": ["Night 100%"]}
    found = {query: corpus.count("pairs", query) for query in (
        "tag = 'wet'", "tag = 'Night 100%'", "tag != 'wet'", "tag in ('wet', 'dry')", "tag like 'night*'",
        "tag like '%'", "tag is missing", "not tag is missing and phone = 'sony'",
    )}  # fmt: skip
    assert list(found.values()) == [1, 2, 3, 1, 2, 0, 2, 1], found
    corpus.store.decide("pair", {PAIR: ""}, who="ann", tag="Night 100%")
    assert corpus.tags() == {PAIR: ["wet"], "s/0002:iphone": ["Night 100%"]}
    corpus.store.undo(who="ann")
    assert corpus.count("pairs", "tag = 'Night 100%'") == 2
    assert verdicts(corpus) == {}
