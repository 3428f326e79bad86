"""The review page with 16,500 pairs of 22,000 photos and 500,000 patches, in a real Chromium, while it is used.

The index is that of the corpus bench; every alignment is one that the aligner found, as large as those are. The pairs
that are looked at have photos of 3 and 20 MP, scenes of the align bench under many names. The server and the browser
share this machine.

First screen: from the start of the navigation, with an empty browser cache, until all thumbnails that are in the window
are decoded and a frame has been drawn after that. A key: from the event's own time until the next pair's name stands
there, both its photos are decoded and a frame has been drawn after that. At human speed a key is pressed every third of
a second; held down, it repeats 30 times a second, and repeats that come before a pair is seen are left out by the page.

Pictures are drawn when a pair is first looked at. What that costs stands in rows of its own; the other rows are of
pairs that were drawn before, as those are that one goes through again, or that a person looks at for long enough.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx
from big_corpus import PHONES, big_corpus
from command_line import CommandLine
from measure import Figure, Findings
from page_server import serving
from pair_truth import make_pair
from pairs import CASES
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import update

from dpedkit.align import align_pair
from dpedkit.db import Corpus
from dpedkit.db.engine import make_engine, writing
from dpedkit.db.schema import Alignment
from dpedkit.images import encode_jpeg
from dpedkit.types import Json
from dpedkit.workspace import create_workspace

SCENES = 3
SHOTS = 40  # that have photos: 120 pairs, two pages
REPEATS = 5
KEYS = 50
HUMAN_S, HELD_S = 1 / 3, 1 / 30
WINDOW = {"width": 1280, "height": 800}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

SCREEN = """
const isSeen = (image) => image.getBoundingClientRect().top < innerHeight;
const look = async () => {
  const seen = [...document.querySelectorAll(".card img")].filter(isSeen);
  if (!seen.length || !seen.every((one) => one.complete && one.naturalWidth)) { requestAnimationFrame(look); return; }
  await Promise.all(seen.map((one) => one.decode()));
  requestAnimationFrame(() => requestAnimationFrame(() => { window.firstScreen = performance.now(); }));
};
look();
"""

KEYPRESS = """
window.times = [];
document.addEventListener("keydown", (event) => {
  const stage = document.querySelector("#stage"), title = document.querySelector("#title"), before = title.textContent;
  if (event.repeat && (stage.ariaBusy === "true" || window.left === before)) return;
  window.left = before;
  const look = async () => {
    if (title.textContent === before || stage.ariaBusy === "true") { requestAnimationFrame(look); return; }
    await Promise.all(["#left .under", "#left .over"].map((one) => document.querySelector(one).decode()));
    requestAnimationFrame(() => requestAnimationFrame(() => window.times.push(performance.now() - event.timeStamp)));
  };
  look();
}, true);
"""


def run() -> Findings:
    """Build the workspace, then look at it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "ws"
        workspace(root)
        with browsing() as browser:
            with serving(CommandLine(Path(name)), root) as address:
                cold = [first_screen(browser, address)]
            shutil.rmtree(root / "reports")
            with serving(CommandLine(Path(name)), root) as address:
                cold.append(first_screen(browser, address))
                first = [first_sight(address, at) for at in range(10)]
                for at in range(10, SHOTS * len(PHONES)):  # keys may go past a pair before it is counted
                    first_sight(address, at)
                screens = [first_screen(browser, address) for _ in range(REPEATS)]
                human, held = (keys(browser, address, every_s) for every_s in (HUMAN_S, HELD_S))
    figures = [
        Figure("first screen", screens, "s", target="<= 1"),
        Figure("first screen, no thumbnail drawn yet", cold, "s"),
        Figure("key to the next pair, three a second", human, "ms", target="<= 100"),
        Figure("key to the next pair, three a second: p95", [p95(human)], "ms", target="<= 100"),
        Figure("key to the next pair, held down", held, "ms", target="<= 100"),
        Figure("key to the next pair, held down: p95", [p95(held)], "ms", target="<= 100"),
        Figure("a pair that was never looked at: its pictures are drawn", first, "s"),
    ]
    return Findings(figures, [f"{len(human)} and {len(held)} keys; window of 1280 x 800."])


def workspace(root: Path) -> None:
    """Make the workspace, with photos for the first shots."""
    create_workspace(root, {})
    scenes = root / "scenes"
    scenes.mkdir()
    model: Json = {}
    for seed in range(SCENES):
        pair = make_pair(*CASES["3 MP"].cameras(0), seed=seed)
        model = model or align_pair(pair.phone, pair.dslr).to_dict()
        for side, photo in (("phone", pair.phone), ("dslr", pair.dslr)):
            (scenes / f"{seed}-{side}.jpg").write_bytes(encode_jpeg(photo))
    with big_corpus(root) as corpus:
        engine = make_engine("sqlite:///corpus.db", root)
        with writing(engine) as connection:
            connection.execute(update(Alignment).values(model=model))
        engine.dispose()
        link_photos(corpus, root, scenes)


def link_photos(corpus: Corpus, root: Path, scenes: Path) -> None:
    """Give the first shots their photos, each a name of one of the scenes."""
    for at, pair in corpus.pairs(limit=SHOTS * len(PHONES)).iterrows():
        for side in ("phone", "dslr"):
            photo = root / str(pair[f"{side}_path"])
            photo.parent.mkdir(parents=True, exist_ok=True)
            if not photo.exists():
                os.link(scenes / f"{int(str(at)) // len(PHONES) % SCENES}-{side}.jpg", photo)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, address: str, script: str) -> Iterator[Page]:
    """A page with nothing in its cache, which runs a script first."""
    context = browser.new_context(viewport=WINDOW)  # type: ignore[arg-type]
    context.add_init_script(script)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def first_screen(browser: Browser, address: str) -> float:
    """Return seconds."""
    time.sleep(1)  # what the visit before asked for is answered
    with opened(browser, address, SCREEN) as page:
        while not (found := page.evaluate("window.firstScreen ?? 0")):
            time.sleep(0.05)
    return float(found) / 1e3


def first_sight(address: str, at: int) -> float:
    """Return seconds until both pictures of a pair came; the page asks for them at once, too."""
    began = time.perf_counter()
    pair = httpx.get(urljoin(address, "/api/pairs"), params={"offset": at, "limit": 1}).json()["pairs"][0]
    for name in ("phone.jpg", "dslr.jpg"):
        picture = urljoin(address, f"/pictures/{pair['id']}/{pair['pictures']}/{name}")
        httpx.get(picture, timeout=60).raise_for_status()
    return time.perf_counter() - began


def keys(browser: Browser, address: str, every_s: float) -> list[float]:
    """Go through pairs; return the milliseconds of each key."""
    with opened(browser, address, KEYPRESS) as page:
        page.get_by_test_id("card").first.click()
        time.sleep(3)  # the first pair is looked at
        while page.evaluate("times.length") < KEYS:
            page.keyboard.down("ArrowRight")
            if every_s == HUMAN_S:
                page.keyboard.up("ArrowRight")
            time.sleep(every_s)
        times: list[float] = page.evaluate("times")
    return times[:KEYS]


def p95(values: list[float]) -> float:
    """Return the value that one in twenty is above."""
    return statistics.quantiles(values, n=20)[-1]
