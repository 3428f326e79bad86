"""The enhance page in a real browser: photos are sent, watched, compared, called off and taken home."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from dpedkit.images import encode_jpeg, read_rgb

WIDE = {"width": 1200, "height": 800}
PHONE = {"width": 380, "height": 780}
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small photo, a large one that takes a while, and what is no photo."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, size in (("small.jpg", (240, 320)), ("other.jpg", (320, 240)), ("large.jpg", (950, 1050))):
        blocks = rng.integers(60, 190, (-(-size[0] // 20), -(-size[1] // 20), 3)).repeat(20, axis=0).repeat(20, axis=1)
        (folder / name).write_bytes(encode_jpeg(blocks[: size[0], : size[1]].astype(np.uint8)))
    (folder / "broken.jpg").write_bytes((folder / "small.jpg").read_bytes()[:1500])
    (folder / "huge.jpg").write_bytes(b"x" * 3_100_000)
    return folder


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Open]:
    """Open the page as another visitor each time; nothing may go wrong in it unseen."""
    contexts, wrong = [], []

    def come(viewport: dict[str, int] = WIDE, *, touch: bool = False) -> Page:
        context = browser.new_context(viewport=viewport, has_touch=touch, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{site}enhance")
        expect(page.get_by_test_id("model").locator("option")).to_have_count(2)
        return page

    yield come
    for context in contexts:
        context.close()
    assert wrong == []


def send(page: Page, *files: Path) -> None:
    page.get_by_test_id("choose").set_input_files([str(file) for file in files])


def states(page: Page) -> list[str]:
    return [str(one.get_attribute("data-state")) for one in page.get_by_test_id("photo").all()]


def pixel(page: Page, x: float) -> tuple[int, ...]:
    """The colour in the middle row of the stage, at a share of its photo's width."""
    box = page.locator("#left .under").bounding_box()
    assert box
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return tuple(shot.getpixel((box["x"] + x * box["width"], box["y"] + box["height"] / 2)))


def test_a_photo_is_sent_compared_and_taken_home(visit: Open, photos: Path, tmp_path: Path) -> None:
    page = visit()
    page.get_by_test_id("model").select_option("brighter")
    send(page, photos / "small.jpg")
    card = page.get_by_test_id("photo")
    expect(card).to_have_attribute("data-state", "done")
    expect(card).to_contain_text("320 × 240 · brighter")
    expect(page.get_by_test_id("tally")).to_have_text("1 done")
    card.get_by_role("button", name="compare small.jpg").last.click()
    expect(page.get_by_test_id("stage")).to_have_attribute("aria-busy", "false")
    left, right = sum(pixel(page, 0.25)), sum(pixel(page, 0.75))
    page.get_by_test_id("cut").fill("0")
    assert sum(pixel(page, 0.25)) > left + 40  # brighter: after now begins at the left
    page.get_by_test_id("cut").fill("100")
    assert sum(pixel(page, 0.75)) < right - 40
    page.get_by_test_id("stage").click(position={"x": 500, "y": 200})  # and it goes where one points
    assert float(page.get_by_test_id("cut").input_value()) == pytest.approx(42, abs=10)
    with page.expect_download() as download:
        page.get_by_test_id("download").click()
    assert download.value.suggested_filename == "small-enhanced.jpg"
    download.value.save_as(tmp_path / "result.jpg")
    assert read_rgb(tmp_path / "result.jpg").shape == (240, 320, 3)


def test_everything_works_without_a_mouse(visit: Open, photos: Path) -> None:
    page = visit()
    send(page, photos / "small.jpg", photos / "other.jpg")
    expect(page.locator("[data-state=done]")).to_have_count(2)
    page.get_by_role("button", name="compare other.jpg").last.focus()
    page.keyboard.press("Enter")
    title = page.locator("#title")
    expect(title).to_have_text("other.jpg")
    page.keyboard.press("n")
    expect(title).to_have_text("small.jpg")
    expect(page.get_by_test_id("stage")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("ArrowRight")
    assert page.get_by_test_id("cut").input_value() == "55"
    page.keyboard.press("z")
    expect(page.get_by_test_id("zoom")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#left .under")).to_have_attribute("src", re.compile(r"/before$"))
    box = page.locator("#left .under").bounding_box()
    assert box
    assert (box["width"], box["height"]) == (320, 240)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("viewer")).not_to_be_visible()
    expect(page.get_by_role("button", name="compare small.jpg").last).to_be_focused()


def test_what_cannot_be_taken_says_why(visit: Open, photos: Path) -> None:
    page = visit()
    send(page, photos / "broken.jpg", photos / "huge.jpg", photos / "small.jpg")
    expect(page.locator("[data-state=refused]")).to_have_count(2)
    expect(page.locator("[data-state=done]")).to_have_count(1)
    broken, huge = (page.get_by_test_id("photo").filter(has_text=name) for name in ("broken.jpg", "huge.jpg"))
    expect(broken.get_by_test_id("state")).to_contain_text("broken.jpg: ")
    expect(broken).to_contain_text("take the original again, or leave it out")
    expect(huge.get_by_test_id("state")).to_have_text("larger than 3 MB")
    huge.get_by_role("button", name="remove huge.jpg").click()
    expect(page.get_by_test_id("photo")).to_have_count(2)


def test_a_photo_is_called_off(visit: Open, photos: Path) -> None:
    page = visit()
    send(page, *[photos / "large.jpg"] * 3)
    expect(page.get_by_test_id("photo")).to_have_count(3)
    expect(page.locator("[data-state=waiting]").first).to_be_visible()
    page.locator("[data-state=waiting]").first.get_by_role("button", name="cancel large.jpg").click()
    expect(page.locator("[data-state=cancelled]")).to_have_count(1)
    expect(page.locator("[data-state=done]")).to_have_count(2)
    for _ in range(3):
        page.get_by_role("button", name="remove large.jpg").first.click()
    expect(page.get_by_test_id("photo")).to_have_count(0)


HOLD_ANSWERS = """() => {
    const listen = XMLHttpRequest.prototype.addEventListener;
    XMLHttpRequest.prototype.addEventListener = function (name, act) {
        listen.call(this, name, name === "load" ? (event) => { window.deliver = () => act(event); } : act);
    };
}"""


def test_a_photo_that_arrives_slowly_is_shown_once(visit: Open, photos: Path) -> None:
    """The page asks how its photos are while the answer to one that was sent is still on its way."""
    page = visit()
    page.evaluate(HOLD_ANSWERS)
    send(page, photos / "small.jpg")
    while not page.evaluate("'deliver' in window"):
        page.wait_for_timeout(10)
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/api/photos?")):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(100)
    page.evaluate("window.deliver()")
    expect(page.locator("[data-state=done]")).to_have_count(1)
    expect(page.get_by_test_id("photo")).to_have_count(1)


def test_photos_that_are_chosen_before_the_models_are_known_are_sent(visit: Open, photos: Path) -> None:
    page = visit()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/models?", hold)
    page.reload()
    send(page, photos / "small.jpg")
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    expect(page.locator("[data-state=done]")).to_have_count(1)


def test_two_visitors_see_their_own_photos_and_find_them_again(visit: Open, photos: Path) -> None:
    one, two = visit(), visit(PHONE, touch=True)
    send(one, photos / "small.jpg")
    send(two, photos / "other.jpg")
    for page, name in ((one, "small.jpg"), (two, "other.jpg")):
        expect(page.locator("[data-state=done]")).to_have_count(1)
        page.reload()
        expect(page.get_by_test_id("photo")).to_have_count(1)
        expect(page.get_by_test_id("photo")).to_contain_text(name)


def test_a_stamp_shows_before_and_beside(visit: Open, photos: Path) -> None:
    page = visit()
    expect(page.get_by_test_id("stamp")).not_to_be_visible()
    page.get_by_test_id("model").select_option("darker")
    expect(page.get_by_test_id("stamp")).to_have_text("not for results: trained with random:0")
    send(page, photos / "small.jpg")
    expect(page.locator("[data-state=done]")).to_contain_text("not for results: trained with random:0")


def test_on_a_narrow_phone_nothing_is_cut_off(visit: Open, photos: Path) -> None:
    page = visit(PHONE, touch=True)
    send(page, photos / "small.jpg")
    expect(page.locator("[data-state=done]")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("button", name="compare small.jpg").last.click()
    expect(page.get_by_test_id("stage")).to_have_attribute("aria-busy", "false")
    box = page.get_by_test_id("stage").bounding_box()
    assert box
    assert box["height"] > 300
    assert page.evaluate("document.querySelector('#viewer').scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "runs", "enhance", "nowhere"])
def test_the_pages_are_accessible(browser: Browser, site: str, photos: Path, path: str, scheme: str) -> None:
    context = browser.new_context(viewport=WIDE, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{site}{path}")
    if path == "enhance":
        send(page, photos / "small.jpg", photos / "broken.jpg")
        expect(page.locator("[data-state=done]")).to_have_count(1)
        expect(page.locator("[data-state=refused]")).to_have_count(1)
        page.get_by_role("button", name="compare small.jpg").last.click()
        expect(page.get_by_test_id("stage")).to_have_attribute("aria-busy", "false")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()
