"""A study in a real browser: with keys, by touch, paused, reloaded, and while the server is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from command_line import CommandLine
from page_server import serving, started
from playwright.sync_api import Browser, Page, expect
from study_plans import make_plan
from study_subjects import lines, write_study

from dpedkit.images import encode_png
from dpedkit.stages.study.plan import StudyPlan
from dpedkit.workspace import create_workspace

COMMAND = ("study", "serve", "demo")
WHOLE_SCREEN = "document.fullscreenElement === document.documentElement"
AS_IT_IS = """images => images.map(({ width, height, naturalWidth, naturalHeight }) =>
    width === naturalWidth && height === naturalHeight ? `${width}x${height}` : "distorted")"""
Open = Callable[..., Page]


@pytest.fixture
def plan() -> StudyPlan:
    return make_plan(scenes=2, repeats=1, catch=1, training=1)


@pytest.fixture
def folder(tmp_path: Path, plan: StudyPlan) -> Path:
    """A workspace with that study."""
    workspace = create_workspace(tmp_path / "ws", {})
    write_study(workspace.root, plan)
    return workspace.root


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open an address as another subject each time; nothing may go wrong in the page unseen."""
    contexts, wrong = [], []

    def come(address: str, *, width: int = 1400, height: int = 900, touch: bool = False) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        return page

    yield come
    for context in contexts:
        context.close()
    assert wrong == []


def ready(page: Page, done: int) -> None:
    """Wait until the pair after so many answers may be answered."""
    expect(page.get_by_test_id("pair")).to_have_attribute("data-ready", str(done))


def sides(root: Path) -> list[str]:
    return [line["side"] for line in lines(root, "demo") if line["kind"] == "answer"]


def test_a_session_with_keys_alone(cli: CommandLine, folder: Path, plan: StudyPlan, visit: Open) -> None:
    count = len(plan.trials)
    for path in (folder / "study" / "demo" / "pictures").glob("s1-*"):  # as of a whole photo that was turned
        path.write_bytes(encode_png(np.full((500, 300, 3), 90, np.uint8)))
    with serving(cli, folder, command=COMMAND) as address:
        page = visit(address)
        page.get_by_test_id("begin").focus()
        page.keyboard.press("Enter")
        ready(page, 0)
        expect(page.get_by_test_id("place")).to_have_text(f"practice, 1 of {count}")
        assert page.evaluate(WHOLE_SCREEN)
        boxes = [page.locator(f"[data-side={side}] img").bounding_box() for side in ("left", "right")]
        assert boxes[0]
        assert boxes[1]
        assert (boxes[0]["width"], boxes[0]["height"]) == (boxes[1]["width"], boxes[1]["height"]) == (600, 600)
        assert boxes[0]["x"] + 600 < boxes[1]["x"]
        keys = ["ArrowLeft", "ArrowRight", "ArrowRight", "ArrowLeft"] * count
        for done, key in enumerate(keys[:count]):
            ready(page, done)
            shown = page.eval_on_selector_all(".choice img", AS_IT_IS)
            assert shown in (["600x600"] * 2, ["300x500"] * 2)
            page.keyboard.press("x")  # means nothing
            page.keyboard.press(key)
        expect(page.get_by_test_id("done")).to_be_visible()
        page.wait_for_function(f"!({WHOLE_SCREEN})")
        assert sides(folder) == [key.removeprefix("Arrow").lower() for key in keys[:count]]
        assert all(line["ms"] < 60_000 for line in lines(folder, "demo") if line["kind"] == "answer")


def test_a_held_key_answers_one_pair(cli: CommandLine, folder: Path, visit: Open) -> None:
    with serving(cli, folder, command=COMMAND) as address:
        page = visit(address)
        page.get_by_test_id("begin").click()
        ready(page, 0)
        for _ in range(6):
            page.keyboard.down("ArrowLeft")
        ready(page, 1)
        for _ in range(6):
            page.keyboard.down("ArrowLeft")
        page.keyboard.up("ArrowLeft")
        page.keyboard.press("ArrowRight")
        ready(page, 2)
        assert sides(folder) == ["left", "right"]


def test_paused_reloaded_and_gone_on_with_on_a_phone(cli: CommandLine, folder: Path, visit: Open) -> None:
    with serving(cli, folder, command=COMMAND) as address:
        page = visit(address)
        page.get_by_test_id("begin").click()
        ready(page, 0)
        page.keyboard.press("ArrowLeft")
        ready(page, 1)
        page.reload()
        ready(page, 1)
        page.keyboard.press("ArrowRight")
        ready(page, 2)
        page.get_by_test_id("pause").click()
        code = page.get_by_test_id("your-code").inner_text()
        page.keyboard.press("ArrowRight")  # nobody sees a pair now
        phone = visit(address, width=380, height=780, touch=True)
        phone.get_by_test_id("code").fill(f"{code[:4].lower()} {code[4:]}")
        phone.get_by_test_id("go-on").tap()
        ready(phone, 2)
        boxes = [phone.locator(f"[data-side={side}] img").bounding_box() for side in ("left", "right")]
        assert boxes[0]
        assert boxes[1]
        assert boxes[0]["width"] == boxes[1]["width"] > 250  # one above the other
        assert boxes[0]["y"] + boxes[0]["height"] < boxes[1]["y"]
        assert phone.evaluate("document.documentElement.scrollWidth") <= 380
        phone.get_by_test_id("right").tap()
        ready(phone, 3)
        assert sides(folder) == ["left", "right", "right"]
        wrong = visit(address)
        wrong.get_by_test_id("code").fill("AAAAAAAA")
        wrong.get_by_test_id("go-on").click()
        expect(wrong.get_by_test_id("problem")).to_contain_text("no subject has the code")


def test_an_answer_waits_while_the_server_is_away(cli: CommandLine, folder: Path, visit: Open) -> None:
    with started(cli, folder, command=COMMAND) as (server, address):
        page = visit(address)
        page.get_by_test_id("begin").click()
        ready(page, 0)
        server.kill()
        server.communicate()
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_test_id("problem")).to_contain_text("not saved: dpedkit does not answer")
        port = address.rstrip("/").rpartition(":")[2]
        with serving(cli, folder, "--port", port, command=COMMAND):
            ready(page, 1)
            expect(page.get_by_test_id("problem")).not_to_be_visible()
            assert sides(folder) == ["left"]


def test_the_pages_are_accessible(cli: CommandLine, folder: Path, visit: Open) -> None:
    with serving(cli, folder, command=COMMAND) as address:
        page = visit(address)
        for go_on in ("begin", "pause", ""):
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            if go_on:
                page.get_by_test_id(go_on).click()
            if go_on == "begin":
                ready(page, 0)
