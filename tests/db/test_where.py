"""The query language: what it says is what pandas finds, in both databases; mistakes are pointed at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpedkit.db import (
    AlignmentRecord,
    Corpus,
    DeviceRecord,
    PatchRecord,
    PhotoRecord,
    SessionRecord,
    ShotRecord,
    open_corpus,
    write_shard,
)
from dpedkit.db.where import DEEPEST, LONGEST, parse
from dpedkit.db.where_tree import (
    Column,
    Compare,
    Constant,
    Every,
    IsTrue,
    Like,
    Missing,
    Not,
    OneOf,
    Some,
    Where,
    unparse,
)
from dpedkit.errors import QueryError

TEXTS = ["", "st", "street", "Street 1", "100%", "a_b", "it's", "ß", "É"]
NUMBERS = [-1.5, 0.0, 0.25, 1.0, 3.0, 1e6]
texts, numbers = st.sampled_from(TEXTS), st.sampled_from(NUMBERS)
patterns = st.sampled_from(["s*", "*t", "?t", "*", "STREET*", "100%", "a_b", "é", "?"]).map(Constant)


def trees(text: list[str], number: list[str], *others: st.SearchStrategy[Where]) -> st.SearchStrategy[Where]:
    """Queries over columns of text and of numbers."""
    text_columns, number_columns = st.sampled_from(text).map(Column), st.sampled_from(number).map(Column)
    comparisons = st.one_of(
        st.builds(
            Compare,
            st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
            st.one_of(number_columns, numbers.map(Constant)),
            st.one_of(number_columns, numbers.map(Constant)),
        ),
        st.builds(Compare, st.sampled_from(["=", "!=", "<", ">="]), text_columns, texts.map(Constant)),
        st.builds(OneOf, number_columns, st.lists(numbers.map(Constant), min_size=1, max_size=3).map(tuple)),
        st.builds(OneOf, text_columns, st.lists(texts.map(Constant), min_size=1, max_size=3).map(tuple)),
        st.builds(Like, text_columns, patterns),
        st.builds(Missing, st.one_of(text_columns, number_columns)),
        *others,
    )
    return st.recursive(
        comparisons,
        lambda part: st.one_of(
            st.builds(Not, part),
            st.builds(Every, st.lists(part, min_size=2, max_size=3).map(tuple)),
            st.builds(Some, st.lists(part, min_size=2, max_size=3).map(tuple)),
        ),
        max_leaves=6,
    )


of_pairs = trees(["scene", "reason"], ["residual_px", "inliers"])
of_patches = trees(
    ["scene", "phone", "reason", "match"],
    ["residual_px", "inliers", "x", "ncc"],
    st.sampled_from(["keep", "used"]).map(Column).map(IsTrue),
    st.builds(
        Compare,
        st.sampled_from(["=", "!="]),
        st.sampled_from(["verdict", "pair_verdict", "shot_verdict"]).map(Column),
        st.sampled_from(["accept", "reject"]).map(Constant),
    ),
    st.sampled_from(["verdict", "pair_verdict", "shot_verdict", "tag"]).map(Column).map(Missing),
    st.builds(Compare, st.sampled_from(["=", "!="]), st.just(Column("tag")), st.sampled_from(["a", "b"]).map(Constant)),
    st.builds(Like, st.just(Column("tag")), st.sampled_from(["?", "A", "c"]).map(Constant)),
)


@given(of_patches)
def test_a_query_that_is_written_out_reads_as_the_same(where: Where) -> None:
    assert parse(unparse(where)) == where


@pytest.fixture
def rows(corpus: Corpus) -> pd.DataFrame:
    """Pairs whose scene, reason, residual and inliers go through all that the queries ask for, and through nothing."""
    corpus.store.add_session(
        SessionRecord("s", "tripod", 1), [DeviceRecord("canon", "dslr"), DeviceRecord("sony", "phone")]
    )
    for number in range(48):
        shot, scene = f"s/{number:04d}", TEXTS[number % len(TEXTS)]
        photos = [PhotoRecord(name, f"{shot}_{name}.jpg", f"{shot}{name}", 1, 1, 1) for name in ("canon", "sony")]
        corpus.store.add_shot(ShotRecord(shot, "s", number, scene), photos)
        corpus.store.add_alignment(
            AlignmentRecord(
                key=shot,
                phone_sha256=f"{shot}sony",
                dslr_sha256=f"{shot}canon",
                version="1",
                status="aligned",
                reason=TEXTS[number // 8],
                residual_px=[*NUMBERS, None][number % 7],
                inliers=[1, 3, None][number % 3],
            )
        )
    return corpus.pairs()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(of_pairs)
def test_a_query_finds_what_pandas_finds(corpus: Corpus, rows: pd.DataFrame, where: Where) -> None:
    wanted = [shot for shot, row in zip(rows["shot"], rows.to_dict("records"), strict=True) if holds(where, row)]
    assert corpus.pairs(unparse(where))["shot"].tolist() == wanted
    assert corpus.count("pairs", unparse(where)) == len(wanted)


@pytest.fixture
def patches(build: Callable, corpus: Corpus) -> list[dict[str, Any]]:
    """Patches with a bit of everything, on them, their pairs and their shots, and the tags of each."""
    build.session()
    for number in range(8):
        shot = build.shot(number)
        corpus.store.add_shot(ShotRecord(shot, "s", number, TEXTS[number]), [])
        for at, phone in enumerate(build.phones):
            residual_px, inliers = [*NUMBERS, None][(2 * number + at) % 7], [1, 3, None][number % 3]
            photos = build.photo(shot, phone).sha256, build.photo(shot, "canon").sha256
            key = f"{shot}{phone}"
            corpus.store.add_alignment(
                AlignmentRecord(key, *photos, "1", "aligned", residual_px=residual_px, inliers=inliers)
            )
            blank = np.zeros((4, 6, 6, 3), np.uint8)
            rows = [
                PatchRecord(f"{key}{x}", x, x, 0, 6, ncc=[1.0, 0.25, None][(x + at) % 3], keep=x != 2, reason=TEXTS[x])
                for x in range(4)
            ]
            corpus.store.replace_patches(key, "cut", write_shard(corpus.shard_folder, blank, blank), rows)
    decide = corpus.store.decide
    decide("shot", {"s/0001": "reject", "s/0002": "accept", "s/0003": ""}, who="ann")
    decide("pair", {"s/0001:sony": "accept", "s/0003:sony": "reject", "s/0004:iphone": "reject"}, who="ann")
    keys = corpus.patches()["patch"]
    decide("patch", dict.fromkeys(keys[::5], "reject") | dict.fromkeys(keys[1::7], "accept"), who="ann")
    decide("patch", dict.fromkeys(keys[::2], "on"), who="ann", tag="a")
    decide("patch", dict.fromkeys(keys[::3], "on"), who="ann", tag="b")
    tags = corpus.tags("patch")
    return [row | {"tag": tags.get(row["patch"], [])} for row in corpus.patches().to_dict("records")]


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # a failure is told with all the patches
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(of_patches)
def test_a_query_of_patches_finds_what_pandas_finds(
    corpus: Corpus, patches: list[dict[str, Any]], where: Where
) -> None:
    wanted = [row["patch"] for row in patches if holds(where, row)]
    assert corpus.patches(unparse(where))["patch"].tolist() == wanted
    count, page = corpus.page_of_patches(unparse(where), 10, 5)
    assert (count, page["patch"].tolist()) == (len(wanted), wanted[5:15])


OF_DECISIONS = [
    f"{column} {how}"
    for column in ("verdict", "pair_verdict", "shot_verdict")
    for how in ("= 'accept'", "= 'reject'", "!= 'accept'", "is missing", "like 'RE*'", "in ('accept', 'reject')")
]


@pytest.mark.parametrize("also", ["", " and residual_px < 2", " or tag = 'b'"])
def test_what_was_decided_is_asked_of_the_row_itself(corpus: Corpus, patches: list[dict[str, Any]], also: str) -> None:
    for query in OF_DECISIONS:
        wanted = [row["patch"] for row in patches if holds(parse(query + also), row)]
        count, page = corpus.page_of_patches(query + also, len(patches))
        assert (count, page["patch"].tolist()) == (len(wanted), wanted), query


def holds(where: Where, row: dict[str, Any]) -> bool:  # noqa: PLR0911  (one for each kind of node)
    """Say what a query is about a row, in Python's own words."""

    def value(part: Column | Constant) -> Any:
        found = row[part.name] if isinstance(part, Column) else part.value
        return None if found is pd.NA or (isinstance(found, float) and math.isnan(found)) else found

    match where:
        case Compare(operator, Column("tag"), Constant(tag)):
            return (tag in row["tag"]) == (operator == "=")
        case Missing(Column("tag")):
            return not row["tag"]
        case Like(Column("tag"), Constant(pattern)):
            return any(looks_like(tag, str(pattern)) for tag in row["tag"])
        case Compare(operator, left, right):
            one, other = value(left), value(right)
            if one is None or other is None:
                return False
            return {
                "=": one == other,
                "!=": one != other,
                "<": one < other,
                "<=": one <= other,
                ">": one > other,
                ">=": one >= other,
            }[operator]
        case OneOf(column, constants):
            return value(column) in [constant.value for constant in constants]
        case Like(column, Constant(pattern)):
            return looks_like(value(column), str(pattern))
        case Missing(column):
            return value(column) is None
        case Not(part):
            return not holds(part, row)
        case Every(parts):
            return all(holds(part, row) for part in parts)
        case Some(parts):
            return any(holds(part, row) for part in parts)
        case IsTrue(column):
            return bool(row[column.name])


def looks_like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return looks_like(text, pattern[1:]) or (bool(text) and looks_like(text[1:], pattern))
    return bool(text) and lower(pattern[0]) in (lower(text[0]), "?") and looks_like(text[1:], pattern[1:])


def lower(character: str) -> str:
    return character.lower() if character.isascii() else character


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    with open_corpus(tmp_path_factory.mktemp("empty")) as corpus:
        yield corpus


@pytest.mark.parametrize(
    ("query", "at", "problem"),
    [
        ("residul_px < 0.2", 0, "no column 'residul_px', did you mean 'residual_px'?"),
        ("phone = 'sony' and inliers > 'many'", 29, "a number cannot be compared with a text"),
        ("phone = 'sony' inliers > 3", 15, "'and' or 'or' is wanted here"),
        ("phone = 'sony", 8, "this quote is never closed"),
        ("inliers > ", 10, "a column or a value is wanted here"),
        ("(inliers > 3", 12, "')' is wanted here"),
        ("inliers ~ 3", 8, "'~' has no meaning here"),
        ("phone in ('sony', dslr)", 18, "a number or a text is wanted here"),
        ("scene like 3", 11, "only a text is like a text"),
        ("3 and phone = 'a'", 2, "a comparison is wanted here"),
        ("phone", 0, "not true or false"),
        ("phone is", 8, "'missing' is wanted here"),
        ("inliers > 1e999", 10, "too large"),
        ("inliers > 12ab", 10, "this is no number"),
        ("tone = 'x'", 0, "no column 'tone'"),
        ("tag > 'x'", 6, "a tag can be = or != a text"),
        ("phone = 'a\0b'", 8, "cannot be in a text"),
        ("phone = 'a\ud800b'", 8, "cannot be in a text"),
        ("(" * (DEEPEST + 1) + "inliers > 1", DEEPEST, "within each other"),
        ("not " * 9_999 + "inliers > 1", LONGEST, "4,000 characters"),
        ("", 0, "a query is wanted"),
    ],
)
def test_a_mistake_is_pointed_at(empty: Corpus, query: str, at: int, problem: str) -> None:
    with pytest.raises(QueryError, match=r".") as caught:
        parse(query) if not query else empty.pairs(query)
    assert problem in caught.value.cause
    assert caught.value.at == at
    assert caught.value.pointed.splitlines()[-1].index("^") == at
    assert caught.value.exit_code == 2


def test_no_text_reaches_the_database_as_sql(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=1)
    for text in ("x' or '1'='1", 'x"; drop table photo; --', "%", "_", "\\", "x') or (1=1"):
        quoted = "'" + text.replace("'", "''") + "'"
        for query in (f"phone = {quoted}", f"phone in ({quoted})", f"phone like {quoted}", f"tag = {quoted}"):
            assert corpus.count("pairs", query) == 0, query
    assert len(corpus.photos()) == 3


@pytest.mark.parametrize("table", ["photos", "pairs", "patches"])
def test_every_column_that_can_be_asked_for_is_one_of_the_frame(build: Callable, corpus: Corpus, table: Any) -> None:
    build.fill(shots=2)
    frame = getattr(corpus, table)()
    kinds = corpus.columns(table)
    assert set(kinds) - {"tag"} <= set(frame)
    for name, kind in kinds.items():
        constant = {"number": "1", "text": "'x'", "truth": "true"}[kind]
        found = getattr(corpus, table)(f"{name} = {constant} or {name} is missing or not {name} = {constant}")
        assert len(found) == len(frame), name


def test_pages_are_cut_from_the_whole(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=4)
    for where in ("", "x < 5", "phone = 'sony' and not keep"):
        whole = corpus.patches(where)
        assert corpus.count("patches", where) == len(whole) > 0
        for offset in (0, 7, 8, len(whole) - 1, len(whole) + 5):
            for limit in (1, 9):
                count, page = corpus.page_of_patches(where, limit, offset)
                assert count == len(whole)
                assert page.equals(whole.iloc[offset : offset + limit].reset_index(drop=True)), (where, offset, limit)
    pairs = corpus.pairs(order="-shot")
    assert pairs["shot"].tolist() == sorted(pairs["shot"], reverse=True)
    assert corpus.pairs(order="-shot", limit=3, offset=2).equals(pairs.iloc[2:5].reset_index(drop=True))
