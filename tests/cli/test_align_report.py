"""dpedkit align --report: a page for every pair, refused ones too; made once, made again where something changed."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from browser import Browser
from command_line import CommandLine, tree

from dpedkit.db import open_corpus
from dpedkit.images import encode_jpeg, read_rgb

Stages = Callable[[str], Path]

needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium: apt-get install chromium")
GOOD = 4
ALL = GOOD + 2
ODD = 'wall <b>bold<i> & "co"'


@pytest.fixture(scope="module")
def made(cli: CommandLine, finished: Stages, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A workspace with GOOD aligned pairs, a refused and an unreadable one, its report, and what the command told."""
    root = tmp_path_factory.mktemp("report") / "my ws"
    source, photos = next((finished("captured") / "photos").iterdir()), root.parent / "photos"
    cli.run("init", root, cwd=root.parent)
    names = {**{f"view {number}": number for number in range(1, GOOD + 1)}, ODD: 1, "torn": 2}
    for device in ("dslr", "iphone"):
        (photos / device).mkdir(parents=True)
        for quality, (name, number) in enumerate(names.items(), start=85):  # no two files are alike
            rgb = read_rgb(source / f"{number:04d}_{device}.jpg")
            seen = np.full_like(rgb, 90) if (device, name) == ("iphone", ODD) else rgb
            (photos / device / f"{name}.jpg").write_bytes(encode_jpeg(seen, quality=quality))
    cli.run(
        "import",
        "folder",
        "--pair-by",
        "name",
        "--dslr",
        photos / "dslr",
        "--phone",
        f"iphone={photos / 'iphone'}",
        cwd=root,
    )
    torn = root / pairs_of(root).query("scene == 'torn'")["phone_path"].item()
    torn.write_bytes(torn.read_bytes()[:5000])
    cli.run("align", cwd=root, code=3)
    cli.run("build-patches", cwd=root)
    return root, cli.json("align", "--report", cwd=root, code=3)


@pytest.fixture
def ws(made: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy of that workspace for one test alone."""
    return Path(shutil.copytree(made[0], tmp_path / "ws"))


def pairs_of(ws: Path) -> pd.DataFrame:
    with open_corpus(ws) as corpus:
        return corpus.pairs()


class Page(HTMLParser):
    """What a page shows and points at.

    text   without tags, as a reader sees it
    links  every src and href
    tags   every start tag: name, attributes
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.text = path, ""
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.links += [value for name, value in attrs if name in ("src", "href") and value and value[0] != "#"]

    def handle_data(self, data: str) -> None:
        self.text += data

    def pictures(self) -> list[Path]:
        return [self.target(link) for link in self.links if link.endswith(".jpg")]

    def target(self, link: str) -> Path:
        return (self.path.parent / unquote(link)).resolve()


def pages_of(ws: Path) -> dict[str, Page]:
    """Title of the pair, as the index has it -> its page."""
    index = Page(ws / "reports" / "align" / "index.html")
    rows = re.findall(r'<a href="(pairs/[^"]*)">([^<]*)</a><br>', index.path.read_text())
    return {title: Page(index.target(link)) for link, title in rows}


def times(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_pair_has_a_page_and_stands_in_the_index(made: tuple[Path, Any]) -> None:
    root, told = made
    pairs = pairs_of(root)
    assert dict(pairs["status"].value_counts()) == {"aligned": GOOD, "rejected": 1, "failed": 1}
    assert (told["report"], told["pages"]["made"]) == ("reports/align/index.html", ALL)
    pages = pages_of(root)
    assert set(pages) == {f"{pair.shot} {pair.phone}" for pair in pairs.itertuples()}
    index = Page(root / "reports" / "align" / "index.html")
    order = list(pages)
    assert [pairs.set_index(pairs["shot"] + " " + pairs["phone"])["status"][title] for title in order[:2]] == [
        "failed",
        "rejected",
    ]
    assert [link for link in index.links if link.endswith("thumb.jpg")] == [
        attributes["src"] for tag, attributes in index.tags if tag == "img" and attributes["loading"] == "lazy"
    ]
    assert len(index.pictures()) == ALL
    for pair in pairs[pairs["status"] == "aligned"].itertuples():
        page = pages[f"{pair.shot} {pair.phone}"]
        assert f"{pair.residual_px:.3f} px" in page.text
        assert f"{pair.kept} of {pair.patches}" in page.text
        verdicts = [attributes["class"] for tag, attributes in page.tags if tag == "rect" and "class" in attributes]
        assert verdicts.count("kept") == pair.kept
        for part in ("Residual arrows", "Residuals", "Mask", "Patches", "Details at full size", "rotation", "k1"):
            assert part in page.text, part


def test_a_refused_pair_is_shown_with_both_photos_and_why(made: tuple[Path, Any]) -> None:
    root, _ = made
    (pair,) = pairs_of(root).query("status == 'rejected'").itertuples()
    page = pages_of(root)[f"{pair.shot} {pair.phone}"]
    assert pair.reason == "blank"
    assert "shows nothing: its brightness varies by" in page.text
    assert "check the exposure and that no lens is covered" in page.text
    assert [path.name for path in page.pictures()] == ["phone.jpg", "dslr.jpg"]
    shown = [read_rgb(path) for path in page.pictures()]
    assert shown[0].std() < 2
    assert shown[1].std() > 20
    index = Page(root / "reports" / "align" / "index.html").text
    assert "shows nothing: its brightness varies" in index


def test_a_failed_pair_shows_what_can_be_read(made: tuple[Path, Any]) -> None:
    root, _ = made
    (pair,) = pairs_of(root).query("status == 'failed'").itertuples()
    page = pages_of(root)[f"{pair.shot} {pair.phone}"]
    assert "unreadable" in page.text
    assert f" {pair.phone_path}: " in page.text
    assert "this photo cannot be read" in page.text
    assert [path.name for path in page.pictures()] == ["dslr.jpg"]


def test_pages_need_no_network_and_no_file_that_is_not_there(made: tuple[Path, Any]) -> None:
    folder = made[0] / "reports" / "align"
    for page in (Page(path) for path in [folder / "index.html", *(folder / "pairs").iterdir()]):
        assert page.links
        for link in page.links:
            assert not re.match(r"[a-z]+:|//", link), link
            assert page.target(link).is_file(), link
            assert page.target(link).is_relative_to(folder)
        weight = page.path.stat().st_size + sum(path.stat().st_size for path in set(page.pictures()))
        assert weight < 1_500_000
    for path in folder.iterdir():
        if path.suffix in (".css", ".js", ".html"):
            assert not re.search(r"https?:|url\((?!#)|fetch\(|import ", path.read_text())


def test_names_are_shown_as_they_are(made: tuple[Path, Any]) -> None:
    root, _ = made
    pages = pages_of(root)
    (pair,) = pairs_of(root).query("status == 'rejected'").itertuples()
    page = pages[f"{pair.shot} {pair.phone}"]
    for shown in (page, Page(root / "reports" / "align" / "index.html")):
        assert ODD in shown.text
        assert "i" not in {tag for tag, _ in shown.tags}
        assert "<b>bold" not in shown.path.read_text()


def test_what_is_done_is_left_as_it_is(cli: CommandLine, ws: Path) -> None:
    before = times(ws / "reports")
    pages = cli.json("align", "--report", cwd=ws, code=3)["pages"]
    assert (pages["made"], pages["done_before"], pages["removed"]) == (0, ALL, 0)
    assert times(ws / "reports") == before
    shown = cli.run("align", "--report", cwd=ws, code=3).stdout
    assert shown.endswith("report: reports/align/index.html\n")


def test_a_dry_run_writes_nothing(cli: CommandLine, finished: Stages, ws: Path) -> None:
    before = tree(ws)
    assert "report" not in cli.json("align", "--report", "--dry-run", cwd=ws)
    assert tree(ws) == before
    cli.run("align", "--report", "--dry-run", cwd=finished("captured"))
    assert not (finished("captured") / "reports").exists()
    assert "--compare-modes" in cli.error("align", "--report", "--compare-modes", cwd=ws, code=2)


def test_only_what_is_no_longer_true_is_made_again(cli: CommandLine, ws: Path) -> None:
    folder = ws / "reports" / "align"
    before = tree(folder)
    cli.run("build-patches", "--gates", "paper", cwd=ws)
    pages = cli.json("align", "--report", cwd=ws, code=3)["pages"]
    assert (pages["made"], pages["done_before"]) == (GOOD, 2)
    changed = {path for path, digest in tree(folder).items() if before.get(path) != digest}
    assert len(changed) == GOOD + 1
    assert {Path(path).suffix for path in changed} == {".html"}
    for pair in pairs_of(ws).query("status == 'aligned'").itertuples():
        page = pages_of(ws)[f"{pair.shot} {pair.phone}"]
        assert f"{pair.kept} of {pair.patches}" in page.text
        assert pair.gates in page.text


def test_pages_of_another_alignment_replace_the_old_and_what_is_left_over_goes(cli: CommandLine, ws: Path) -> None:
    folder = ws / "reports" / "align"
    before = set(tree(folder))
    (folder / "pairs" / "gone.html").write_text("the page of a pair that is gone")
    (folder / "pairs" / ".half.html.1.part").write_text("what a killed process left")
    (folder / "pictures" / ".half.1.part").mkdir()
    pages = cli.json("align", "--report", "--mode", "paper", cwd=ws, code=3)["pages"]
    assert (pages["made"], pages["removed"]) == (ALL, 1)
    after = set(tree(folder))
    assert {path for path in before if not path.startswith("pictures/")} <= after
    assert len({path.split("/")[1] for path in after if path.startswith("pictures/")}) == ALL
    assert not {path for path in after if "gone" in path or "half" in path}
    for page in pages_of(ws).values():
        assert all(path.is_file() for path in page.pictures())
        assert ("played no part in it" in page.text) == ("Residual arrows" in page.text)
        assert "dpedkit build-patches" in page.text or "Residual arrows" not in page.text


def test_a_photo_that_cannot_be_read_costs_its_page_only(cli: CommandLine, ws: Path) -> None:
    pair = pairs_of(ws).query("status == 'aligned'").iloc[1]
    title, photo = f"{pair['shot']} {pair['phone']}", ws / pair["dslr_path"]
    whole = photo.read_bytes()
    photo.write_bytes(whole[:4000])
    (refused,) = pairs_of(ws).query("status == 'rejected'").itertuples()
    shutil.move(ws / refused.dslr_path, ws / "aside.jpg")
    shutil.rmtree(ws / "reports")
    done = cli.run("align", "--report", cwd=ws, code=3)
    assert f"no page {title}: {photo}: " in done.stdout
    assert len(list((ws / "reports" / "align" / "pairs").iterdir())) == ALL - 1
    index = Page(ws / "reports" / "align" / "index.html")
    assert title in index.text
    assert index.text.count("no page: ") == 1
    assert all(index.target(link).is_file() for link in index.links)
    assert "this photo cannot be read" in pages_of(ws)[f"{refused.shot} {refused.phone}"].text
    photo.write_bytes(whole)
    shutil.move(ws / "aside.jpg", ws / refused.dslr_path)
    pages = cli.json("align", "--report", cwd=ws, code=3)["pages"]
    assert (pages["made"], pages["done_before"], pages["failures"]) == (2, ALL - 2, {})
    assert len(pages_of(ws)) == ALL
    assert "this photo cannot be read" not in pages_of(ws)[f"{refused.shot} {refused.phone}"].text


def test_a_kill_costs_nothing_that_was_finished(cli: CommandLine, made: tuple[Path, Any], ws: Path) -> None:
    folder = ws / "reports" / "align"
    wanted = tree(folder)
    shutil.rmtree(ws / "reports")
    done = cli.stop_when(
        lambda: len(list(folder.glob("pairs/*.html"))) >= 2, signal.SIGKILL, "align", "--report", cwd=ws
    )
    assert done.returncode == -signal.SIGKILL
    finished = len(list(folder.glob("pairs/*.html")))
    assert 2 <= finished < ALL
    pages = cli.json("align", "--report", cwd=ws, code=3)["pages"]
    assert pages["made"] + pages["done_before"] == ALL
    assert pages["done_before"] >= finished
    assert tree(folder) == wanted


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile", (1440, 1600)) as browser:
        yield browser


def front(browser: Browser) -> str:
    return str(browser.evaluate("document.body.dataset.front"))


def choose(browser: Browser, selector: str, value: str) -> None:
    """Set a field as a user does who types or picks."""
    field = f"document.querySelector('{selector}')"
    browser.evaluate(f"{field}.value = '{value}'; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))")


def box_of(browser: Browser, element: str) -> Any:
    """Return where an element lies in the window, CSS px: left, top, width, height."""
    return browser.evaluate(f"JSON.parse(JSON.stringify({element}.getBoundingClientRect()))")


def shown(browser: Browser, path: Path) -> np.ndarray:
    """Return what the browser shows of the large picture."""
    browser.evaluate("window.scrollTo(0, 0)")
    browser.screenshot(path)
    box = box_of(browser, "document.querySelector('.stack')")
    left, top = round(box["left"]), round(box["top"])
    return read_rgb(path)[top : top + round(box["height"]), left : left + round(box["width"])].astype(float)


def distance(shown: np.ndarray, picture: Path) -> float:
    """Return how far the columns' mean colours are from those of a picture that was stretched to the same width."""
    means = read_rgb(picture).astype(float).mean(axis=0)
    at = np.linspace(0, len(means) - 1, shown.shape[1]).round().astype(int)
    return float(np.abs(shown.mean(axis=0) - means[at]).mean())


@needs_chromium
def test_a_page_blinks_by_itself_and_by_the_space_key(made: tuple[Path, Any], browser: Browser, tmp_path: Path) -> None:
    page = next(page for page in pages_of(made[0]).values() if "Residual arrows" in page.text)
    browser.open(page.path)
    for name in ("dslr", "phone", "dslr"):
        browser.wait(f"document.body.dataset.front === '{name}'")
    browser.press(" ", 32)
    assert browser.evaluate("document.querySelector('[name=auto]').checked") is False
    files = {path.name: path for path in page.pictures()}
    for dslr in ("toned.jpg", "dslr.jpg"):
        for _ in range(2):
            browser.press(" ", 32)
            seen = shown(browser, tmp_path / "shot.png")
            off = {name: distance(seen, files[name]) for name in ("phone.jpg", "dslr.jpg", "toned.jpg")}
            assert min(off, key=lambda name: off[name]) == {"phone": "phone.jpg", "dslr": dslr}[front(browser)], off
        browser.evaluate("document.querySelector('[name=toned]').click()")
    assert browser.errors == []


@needs_chromium
def test_every_mode_draws_both_photos_its_own_way(made: tuple[Path, Any], browser: Browser, tmp_path: Path) -> None:
    page = next(page for page in pages_of(made[0]).values() if "Residual arrows" in page.text)
    browser.open(page.path)
    seen = {}
    for key, mode in enumerate(("blink", "split", "fringes", "checker", "difference"), start=1):
        browser.press(" ", 32)
        browser.press(str(key), 48 + key)
        assert browser.evaluate("document.body.dataset.mode") == mode
        seen[mode] = shown(browser, tmp_path / "shot.png")
    gray = seen["fringes"]
    assert np.abs(gray[..., 1] - gray[..., 2]).max() <= 8  # green and blue are both the DSLR's
    assert np.abs(gray[..., 0] - gray[..., 1]).mean() < 12  # and lie on the phone's red
    assert seen["difference"].mean() < 0.6 * seen["blink"].mean()
    half = seen["split"].shape[1] // 2
    browser.press("1", 49)
    browser.press(" ", 32)
    both = {front(browser): shown(browser, tmp_path / "shot.png")}
    browser.press(" ", 32)
    both[front(browser)] = shown(browser, tmp_path / "shot.png")
    for side, name in ((slice(10, half - 10), "phone"), (slice(half + 10, -10), "dslr")):
        assert np.abs(seen["split"][:, side] - both[name][:, side]).mean() < 1
    assert browser.errors == []


@needs_chromium
def test_arrow_keys_walk_through_the_pairs_as_the_index_has_them(made: tuple[Path, Any], browser: Browser) -> None:
    order = [page.path for page in pages_of(made[0]).values()]
    browser.open(order[0])
    assert browser.evaluate("document.querySelector('#previous').href") == ""
    for path in order[1:4]:
        browser.press("ArrowRight", 39)
        browser.wait(f"location.href === {json.dumps(path.as_uri())} && document.readyState === 'complete'")
    browser.press("ArrowLeft", 37)
    browser.wait(f"location.href === {json.dumps(order[2].as_uri())} && document.readyState === 'complete'")
    assert browser.errors == []


@needs_chromium
def test_patches_are_coloured_by_a_score_and_tell_all_of_them(made: tuple[Path, Any], browser: Browser) -> None:
    page = next(page for page in pages_of(made[0]).values() if "Residual arrows" in page.text)
    scores = json.loads(re.search(r'id="scores">(.*?)</script>', page.path.read_text()).group(1))  # type: ignore[union-attr]
    browser.open(page.path)
    choose(browser, "#score", "ncc")
    fills = browser.evaluate("[...document.querySelectorAll('#patches rect')].map((r) => getComputedStyle(r).fill)")
    best, worst = int(np.argmax(scores["ncc"])), int(np.argmin(scores["ncc"]))
    assert (fills[best], fills[worst]) == ("rgb(18, 106, 168)", "rgb(217, 85, 10)")
    rect = f"document.querySelectorAll('#patches rect')[{worst}]"
    browser.evaluate(f"{rect}.scrollIntoView({{block: 'center'}})")
    box = box_of(browser, rect)
    browser.move(box["left"] + box["width"] / 2, box["top"] + box["height"] / 2)
    told = browser.evaluate("document.querySelector('#readout').textContent")
    for values in scores.values():
        assert str(browser.evaluate(f"String({json.dumps(values[worst])} ?? 'unknown')")) in told
    assert browser.errors == []


@needs_chromium
def test_the_index_filters_and_sorts(made: tuple[Path, Any], browser: Browser) -> None:
    root, _ = made
    browser.open(root / "reports" / "align" / "index.html")
    rows = "[...document.querySelectorAll('#pairs tbody tr')].filter((r) => !r.hidden)"
    assert browser.evaluate(f"{rows}.length") == ALL
    browser.evaluate("document.querySelector('[value=rejected]').click()")
    assert browser.evaluate(f"{rows}.map((r) => r.dataset.status)") == ["rejected"]
    browser.evaluate("document.querySelector('[name=status][value=\"\"]').click()")
    choose(browser, "[name=words]", "WALL co")
    assert browser.evaluate(f"{rows}.length") == 1
    choose(browser, "[name=words]", "WALL no-such-word")
    assert browser.evaluate(f"{rows}.length") == 0
    choose(browser, "[name=words]", "WALL co")
    assert browser.evaluate("document.querySelector('#shown').textContent") == f"1 of {ALL} shown"
    for _ in range(2):
        browser.evaluate("document.querySelectorAll('th[data-sort]')[2].click()")
        residuals = browser.evaluate(
            "[...document.querySelectorAll('#pairs tbody tr')].map((r) => parseFloat(r.cells[3].textContent) || 99)"
        )
        known = residuals[:GOOD]
        assert residuals[GOOD:] == [99, 99]
        direction = browser.evaluate("document.querySelectorAll('th[data-sort]')[2].getAttribute('aria-sort')")
        assert known == sorted(known, reverse=direction == "descending")
    assert browser.errors == []
