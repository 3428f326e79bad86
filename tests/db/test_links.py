"""Shots that show the same are found, and no split ever divides them."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpedkit.db import LinkRules, ShotFacts, assign_splits, find_links, group
from dpedkit.db.splits import SPLITS

RULES = LinkRules()
ANY = 0xA5C3_96F0_1E87_B42D


def flipped(bits: int, first: int = 0) -> int:
    """ANY with so many bits changed."""
    return ANY ^ (((1 << bits) - 1) << first)


def linked(*facts: ShotFacts, rules: LinkRules = RULES) -> set[tuple[str, str]]:
    return {tuple(sorted((link.one, link.other))) for link in find_links(facts, rules)}


@pytest.mark.parametrize(("bits", "seconds", "session", "wanted"), [
    (10, 9e9, "other", True),
    (11, 9e9, "s", False),
    (18, 60, "s", True),
    (19, 60, "s", False),
    (18, 61, "s", False),
    (18, 60, "other", False),
])  # fmt: skip
def test_pictures_are_compared_more_strictly_the_further_they_lie_apart(
    bits: int, seconds: float, session: str, wanted: bool
) -> None:
    one = ShotFacts("a", "s", taken_s=0, hashes={"canon": ANY})
    other = ShotFacts("b", session, taken_s=seconds, hashes={"canon": flipped(bits)})
    assert bool(linked(one, other)) == wanted
    assert not linked(one, ShotFacts("b", session, taken_s=seconds, hashes={"sony": flipped(bits)})), "another device"


def test_no_time_is_never_soon() -> None:
    one, other = (ShotFacts(key, "s", hashes={"canon": flipped(bits)}) for key, bits in (("a", 0), ("b", 15)))
    assert not linked(one, other)


@pytest.mark.parametrize("latitude", [0.0, 47.4, -89.0])
@pytest.mark.parametrize(("metres", "wanted"), [(0, True), (9.5, True), (10.5, False)])
def test_places_are_as_far_apart_as_on_the_globe(latitude: float, metres: float, wanted: bool) -> None:
    degrees = math.degrees(metres / 6_371_000 / math.cos(math.radians(latitude)))
    here = ShotFacts("a", "s", place=(latitude, 179.99999))
    there = ShotFacts("b", "t", place=(latitude, -180 + (degrees - 0.00001)))  # across the date line
    assert bool(linked(here, there)) == wanted
    assert not linked(here, there, rules=LinkRules(place_m=0))


def test_a_crowd_at_one_place_is_one_group_without_a_link_for_every_two() -> None:
    crowd = [ShotFacts(f"{number:04d}", "s", place=(1.0, 2.0 + number % 7 * 1e-5)) for number in range(2_000)]
    links = list(find_links(crowd, RULES))
    assert len(links) < 3_000
    assert set(group((fact.key for fact in crowd), links).values()) == {"0000"}


shots = st.lists(
    st.tuples(
        st.integers(0, 12),  # which scene
        st.integers(0, 3),  # bits that its picture differs in from the scene's
        st.booleans(),  # whether it has a hash
        st.one_of(st.none(), st.integers(0, 3)),  # which place
        st.one_of(st.none(), st.integers(0, 20)),  # which shot it repeats
    ),
    max_size=40,
)
SCENES = [(0x9E37_79B9_7F4A_7C15 * (number + 1)) % 2**64 for number in range(13)]


@given(shots, st.integers(0, 2**32), st.integers(1, 5))
def test_no_link_crosses_splits_however_shots_arrive(
    drawn: list[tuple[int, int, bool, int | None, int | None]], seed: int, step: int
) -> None:
    facts = [
        ShotFacts(
            key=f"s/{number:04d}",
            session="s",
            retry_of=f"s/{retried:04d}" if retried is not None and retried < number else None,
            hashes={"canon": SCENES[scene] ^ ((1 << bits) - 1)} if hashed else {},
            place=None if place is None else (47.0, float(place)),
        )
        for number, (scene, bits, hashed, place, retried) in enumerate(drawn)
    ]
    splits: dict[str, str] = {}
    for end in range(0, len(facts) + step, step):
        known = facts[:end]
        links = list(find_links(known, RULES))
        groups = group((fact.key for fact in known), links)
        before = dict(splits)
        splits |= assign_splits(groups, splits, seed, groups=groups)
        assert before.items() <= splits.items(), "a shot keeps its split"
        held_out = {key for key in groups if key not in splits}
        for link in links:
            if not {link.one, link.other} & held_out and not {link.one, link.other} <= before.keys():
                assert splits[link.one] == splits[link.other], link
        for key in held_out:
            together = {splits[other] for other in splits if groups[other] == groups[key]}
            assert len(together) > 1, "only what would leak is held out"


@given(st.lists(st.integers(1, 4), min_size=10, max_size=40), st.integers(0, 2**32))
def test_whole_groups_come_near_the_shares(sizes: list[int], seed: int) -> None:
    groups = {f"{number:03d}/{at}": f"{number:03d}/0" for number, size in enumerate(sizes) for at in range(size)}
    counts = Counter(assign_splits(groups, {}, seed, groups=groups).values())
    total = len(groups)
    for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert abs(counts[split] - share * total) <= max(sizes), (split, counts)
    assert set(counts) <= set(SPLITS)


def test_twenty_two_thousand_shots_are_compared_in_blocks() -> None:
    spread = [
        ShotFacts(f"{n:05d}", "s", hashes={"canon": (SCENES[n % 13] * (2 * n + 1)) % 2**64}) for n in range(22_000)
    ]
    twin = ShotFacts("twin", "t", hashes={"canon": spread[12_345].hashes["canon"] ^ 0b111})
    assert ("12345", "twin") in linked(*spread, twin)
