"""The review page in a real browser: pairs are seen, decided with a key, and taken back."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from command_line import CommandLine, wait_until
from page_server import serving
from playwright.sync_api import Browser, Page, Route, expect

from dpedkit.db import open_corpus
from dpedkit.images import encode_jpeg


@pytest.fixture(autouse=True)
def undecided(root: Path) -> Iterator[None]:
    """Leave no decision to the next test."""
    yield
    with open_corpus(root) as corpus:
        held = corpus.held("pair")
        corpus.store.decide("pair", dict.fromkeys(held, ""), who="test")


def verdicts(root: Path) -> list[str]:
    """The verdicts of all pairs in their order, "" for none."""
    with open_corpus(root) as corpus:
        return corpus.pairs()["verdict"].fillna("").tolist()


def look(page: Page) -> str:
    """What the stage looks like, once both photos are drawn: a hash of its pixels."""
    drawn = "[...document.querySelectorAll('#stage img')].every((image) => image.complete && image.naturalWidth)"
    wait_until(lambda: bool(page.evaluate(drawn)))  # playwright's own waiting wants eval, which the page forbids
    return hashlib.sha256(page.get_by_test_id("stage").screenshot()).hexdigest()


def opened(page: Page, at: int = 0) -> Page:
    page.get_by_test_id("card").nth(at).click()
    return seen(page)


def seen(page: Page) -> Page:
    """The page, once the pair that it names is the one that is seen."""
    expect(page.get_by_test_id("stage")).to_have_attribute("aria-busy", "false")
    return page


def test_pairs_are_decided_without_a_mouse(page: Page, root: Path) -> None:
    expect(page.get_by_test_id("card")).to_have_count(5)
    page.get_by_test_id("card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    title = page.locator("#title")
    expect(title).to_contain_text("/0002 sony")
    seen(page).keyboard.press("r")
    expect(title).to_contain_text("/0003 sony")
    expect(page.get_by_test_id("said")).to_contain_text("/0002 sony rejected")
    seen(page).keyboard.press("a")
    expect(title).to_contain_text("/0004 sony")
    assert verdicts(root) == ["", "reject", "accept", "", ""]
    seen(page).keyboard.press("u")
    expect(title).to_contain_text("/0003 sony")
    expect(page.get_by_test_id("badge")).to_have_text("undecided")
    assert verdicts(root) == ["", "reject", "", "", ""]
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("badge")).to_have_text("rejected")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("viewer")).not_to_be_visible()
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("/0002 sony, aligned, rejected$"))
    expect(page.locator("#counts")).to_have_text("4 undecided, 0 accepted, 1 rejected")
    with open_corpus(root) as corpus:
        assert corpus.decisions()["why"].iloc[-1] == "undo of batch " + str(corpus.decisions()["undoes"].iloc[-1])


def test_of_two_tabs_the_later_is_told_and_may_insist(page: Page, browser: Browser, address: str, root: Path) -> None:
    other = browser.new_page()
    other.goto(address)
    opened(other)
    opened(page).keyboard.press("r")
    expect(page.get_by_test_id("said")).to_contain_text("rejected")
    other.keyboard.press("a")
    expect(other.get_by_test_id("said")).to_contain_text("rejected meanwhile by")
    expect(other.get_by_test_id("badge")).to_have_text("rejected")
    assert verdicts(root)[0] == "reject"
    other.keyboard.press("a")
    expect(other.get_by_test_id("said")).to_contain_text("accepted")
    assert verdicts(root)[0] == "accept"
    page.keyboard.press("u")
    expect(page.get_by_test_id("said")).to_contain_text("decided again since")
    assert verdicts(root)[0] == "accept"
    other.close()


def test_each_way_of_comparing_shows_something_else(page: Page) -> None:
    opened(page)
    looks = {"phone": look(page)}
    page.keyboard.press(" ")
    looks["dslr"] = look(page)
    page.keyboard.press(" ")
    assert look(page) == looks["phone"]
    for key, name in (("s", "slider"), ("c", "side by side"), ("d", "difference")):
        page.keyboard.press(key)
        looks[name] = look(page)
    page.keyboard.press("s")
    page.get_by_test_id("cut").fill("20")
    looks["slider moved"] = look(page)
    page.keyboard.press("b")
    page.keyboard.press("p")
    expect(page.locator("#legend")).not_to_be_empty()
    looks["patches"] = look(page)
    page.get_by_test_id("score").select_option("std")
    looks["patches by contrast"] = look(page)
    page.get_by_test_id("stage").focus()
    page.keyboard.press("p")
    page.keyboard.press("t")
    page.keyboard.press(" ")
    looks["dslr in the phone's tone"] = look(page)
    assert len(set(looks.values())) == len(looks), looks


def test_one_to_one_shows_each_pixel_once_and_both_photos_follow(page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 560})  # the photo is wider than the stage
    opened(page).keyboard.press("z")
    expect(page.locator("#left .under")).to_have_attribute("src", re.compile("full-phone.jpg$"))
    look(page)
    box = page.locator("#left .under").bounding_box()
    assert box
    assert (box["width"], box["height"]) == (420, 320)
    page.keyboard.press("c")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    sides = [page.locator(which).bounding_box() for which in ("#left .under", "#right .over")]
    panes = [page.locator(which).bounding_box() for which in ("#left", "#right")]
    places = [side["x"] - pane["x"] for side, pane in zip(sides, panes, strict=True) if side and pane]
    assert places[0] == places[1] < -50


def test_a_query_narrows_the_grid_and_a_mistake_is_pointed_at(page: Page) -> None:
    where = page.get_by_test_id("where")
    where.fill("shot like '*/0003' or shot like '*/0005'")
    where.press("Enter")
    expect(page.get_by_test_id("card")).to_have_count(2)
    expect(page.get_by_test_id("shown")).to_have_text("1–2 of 2 pairs")
    page.reload()
    expect(page.get_by_test_id("card")).to_have_count(2)
    where.fill("phone = 'sony' and residul_px < 1")
    where.press("Enter")
    expect(page.get_by_test_id("problem")).to_be_visible()
    line, caret, cause = page.get_by_test_id("problem").inner_text().splitlines()
    assert line[caret.index("^") :].startswith("residul_px")
    assert "did you mean 'residual_px'?" in cause
    where.fill("")
    page.get_by_test_id("verdict").select_option("rejected")
    expect(page.get_by_test_id("shown")).to_have_text("no pair is found")


def test_the_address_names_what_is_seen(page: Page) -> None:
    page.get_by_test_id("verdict").select_option("undecided")
    expect(page).to_have_url(re.compile("show=undecided"))
    second = opened(page, 1).url
    page.keyboard.press("ArrowRight")
    expect(page.locator("#place")).to_have_text("3 of 5")
    expect(page).not_to_have_url(second)
    page.reload()
    expect(page.locator("#title")).to_contain_text("/0003 sony")
    third = seen(page).url
    page.keyboard.press("r")
    expect(page).not_to_have_url(third)
    page.go_back()
    expect(page.get_by_test_id("viewer")).not_to_be_visible()
    page.go_forward()  # to a pair that the query finds no more, because it was decided
    expect(page.locator("#title")).to_contain_text("/0004 sony")
    fourth = seen(page).url
    page.keyboard.press("ArrowLeft")
    expect(page).not_to_have_url(fourth)
    page.reload()
    expect(page.locator("#title")).to_contain_text("/0003 sony")
    expect(page.get_by_test_id("badge")).to_have_text("rejected")
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("pair="))
    page.go_back()
    expect(page.get_by_test_id("verdict")).to_have_value("all")
    expect(page.get_by_test_id("card")).to_have_count(5)


def test_a_key_that_is_held_down_leafs_through_pairs_and_decides_one(page: Page, root: Path) -> None:
    opened(page)
    page.keyboard.down("r")
    for _ in range(5):
        page.keyboard.down("r")  # playwright repeats a key that is down
    page.keyboard.up("r")
    expect(page.get_by_test_id("said")).to_contain_text("/0001 sony rejected")
    assert verdicts(root) == ["reject", "", "", "", ""]
    for _ in range(5):
        page.keyboard.down("ArrowRight")
        seen(page)
    page.keyboard.up("ArrowRight")
    expect(page.locator("#place")).to_have_text("5 of 5")
    expect(page.get_by_test_id("said")).to_have_text("this is the last pair")


def test_a_photo_that_is_gone_is_told_of_and_can_be_decided(page: Page, root: Path) -> None:
    with open_corpus(root) as corpus:
        photo = root / corpus.pairs()["phone_path"].iloc[1]
    away = photo.rename(photo.with_suffix(".away"))
    shutil.rmtree(root / "reports" / "review", ignore_errors=True)
    try:
        opened(page, 1)
        expect(page.get_by_test_id("said")).to_contain_text("cannot be drawn: `dpedkit fsck`")
        expect(page.locator(".on-under")).to_have_text("sony: no picture")
        page.keyboard.press("r")
        expect(page.locator("#title")).to_contain_text("/0003 sony")
        assert verdicts(root)[1] == "reject"
    finally:
        away.rename(photo)
    seen(page).keyboard.press("ArrowLeft")
    expect(page.locator(".on-under")).to_have_text("sony")  # it came back: nothing was remembered of its absence


def test_a_decision_that_could_not_be_saved_yet_is_told_of(page: Page, root: Path) -> None:
    said = page.get_by_test_id("said")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    details = re.compile(r"/api/pairs/[^/]+\?$")
    page.route(details, hold)
    opened(page)
    while not held:
        page.wait_for_timeout(10)
    page.context.set_offline(True)
    page.keyboard.press("r")
    expect(said).to_contain_text("not saved: dpedkit does not answer")
    with page.expect_event("requestfailed"):
        held[0].abort()  # what else fails matters less
    page.evaluate("0")
    expect(said).to_contain_text("not saved: dpedkit does not answer")
    page.unroute(details)
    page.context.set_offline(False)
    writer = sqlite3.connect(root / "corpus.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")  # as a command that writes a lot
    page.keyboard.press("r")
    expect(said).to_contain_text("saving …")
    page.keyboard.press("a")  # not for this pair, and not for the next one
    writer.execute("ROLLBACK")
    writer.close()
    expect(said).to_contain_text("/0001 sony rejected")
    assert verdicts(root) == ["reject", "", "", "", ""]


def test_what_the_aligner_rejected_is_not_taken_for_a_decision(
    cli: CommandLine, browser: Browser, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for side in ("dslr", "phone"):
        (tmp_path / side).mkdir()
        tall = rng.integers(0, 256, (1200, 90, 3), dtype=np.uint8)
        (tmp_path / side / "tall.jpg").write_bytes(encode_jpeg(tall))
    cli.run("init", tmp_path / "ws", cwd=tmp_path)
    folders = ("--dslr", tmp_path / "dslr", "--phone", f"sony={tmp_path / 'phone'}", "--pair-by", "name")
    cli.run("import", "folder", *folders, cwd=tmp_path / "ws")
    cli.run("align", "--jobs", 1, cwd=tmp_path / "ws", code=1)
    with serving(cli, tmp_path / "ws") as address:
        page = browser.new_page()
        page.goto(address)
        card = page.get_by_test_id("card")
        expect(card).to_have_attribute("aria-label", re.compile(r"/0001 sony, not aligned: [a-z ]+, undecided$"))
        opened(page)
        expect(page.locator("#facts dt").first).to_have_text(re.compile("^not aligned: "))

        def is_whole() -> bool:
            boxes = [page.locator(which).bounding_box() for which in ("#stage", "#left .under", "#right .over")]
            stage, *sides = [box["height"] for box in boxes if box]
            return max(sides) < stage + 1  # which is no whole number of pixels

        wait_until(is_whole)
        page.close()


def test_patches_have_a_legend(page: Page) -> None:
    opened(page).keyboard.press("p")
    legend = page.get_by_test_id("legend")
    expect(legend).to_have_text(re.compile(r"^\d+ kept\d+ left out$"))
    page.get_by_test_id("score").select_option("std")
    low, high = (float(text) for text in legend.locator(".swatch").all_inner_texts())
    assert low < high


def test_pages_follow_each_other_whatever_was_decided_meanwhile(address: str, root: Path) -> None:
    def ask(**fields: object) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(httpx.URL(address).join("/api/pairs"), params=fields).json()
        return answer

    every = [pair["shot"] for pair in ask()["pairs"]]
    first = ask(show="undecided", limit=2)
    with open_corpus(root) as corpus:
        corpus.store.decide("pair", {first["pairs"][1]["key"]: "accept"}, who="test")
    ids = ",".join(pair["id"] for pair in first["pairs"])
    second = ask(show="undecided", limit=2, offset=0, after=ids)
    assert [pair["shot"] for pair in second["pairs"]] == every[2:4]
    assert (second["offset"], second["count"]) == (1, 4)
    ids = ",".join(pair["id"] for pair in second["pairs"])
    assert [pair["shot"] for pair in ask(show="undecided", limit=2, offset=1, after=ids)["pairs"]] == every[4:]


def test_a_page_counts_alike_with_a_query_and_without(address: str, root: Path) -> None:
    def ask(**fields: str) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(httpx.URL(address).join("/api/pairs"), params=fields).json()
        return answer

    keys = [pair["key"] for pair in ask()["pairs"]]
    with open_corpus(root) as corpus:
        corpus.store.decide("pair", {keys[0]: "accept", keys[1]: "reject", keys[2]: "reject"}, who="test")
    expected = {"all": 5, "undecided": 2, "accepted": 1, "rejected": 2, "not aligned": 0}
    for show, count in expected.items():
        assert ask(show=show)["count"] == count == ask(show=show, where="phone = 'sony'")["count"]
    assert ask()["counts"] == {"undecided": 2, "accepted": 1, "rejected": 2}


def test_a_query_cannot_leave_its_parentheses(address: str) -> None:
    answer = httpx.get(httpx.URL(address).join("/api/pairs"), params={"where": "phone = 'x') or (phone = 'sony'"})
    assert answer.status_code == 400
    assert answer.json()["pointed"].splitlines()[1].index("^") == len("phone = 'x'")


def test_a_corpus_without_pairs_says_how_to_get_some(cli: CommandLine, browser: Browser, tmp_path: Path) -> None:
    cli.run("init", tmp_path / "ws", cwd=tmp_path)
    with serving(cli, tmp_path / "ws") as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.get_by_test_id("none")).to_contain_text("There are no pairs yet.")
        page.close()


def test_axe_finds_nothing_that_keeps_anybody_out(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    opened(page)
    look(page)
    found = Axe().run(page, context="#viewer")
    assert found.violations_count == 0, found.generate_report()
