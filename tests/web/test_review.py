"""The review page in a real browser: pairs are seen, decided with a key, and taken back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from command_line import wait_until
from playwright.sync_api import Browser, Page, expect

from dpedkit.db import open_corpus


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
    page.get_by_test_id("viewer").wait_for()
    return page


def test_pairs_are_decided_without_a_mouse(page: Page, root: Path) -> None:
    expect(page.get_by_test_id("card")).to_have_count(5)
    page.get_by_test_id("card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    title = page.locator("#title")
    expect(title).to_contain_text("/0002 sony")
    page.keyboard.press("r")
    expect(title).to_contain_text("/0003 sony")
    expect(page.get_by_test_id("said")).to_contain_text("/0002 sony rejected")
    page.keyboard.press("a")
    expect(title).to_contain_text("/0004 sony")
    assert verdicts(root) == ["", "reject", "accept", "", ""]
    page.keyboard.press("u")
    expect(title).to_contain_text("/0003 sony")
    expect(page.get_by_test_id("badge")).to_have_text("undecided")
    assert verdicts(root) == ["", "reject", "", "", ""]
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("badge")).to_have_text("rejected")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("viewer")).not_to_be_visible()
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.endswith("/0002 sony, aligned, rejected")
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
    expect(page.locator("#left .phone")).to_have_attribute("src", re.compile("full-phone.jpg$"))
    look(page)
    box = page.locator("#left .phone").bounding_box()
    assert box
    assert (box["width"], box["height"]) == (420, 320)
    page.keyboard.press("c")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    sides = [page.locator(which).bounding_box() for which in ("#left .phone", "#right .dslr")]
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
