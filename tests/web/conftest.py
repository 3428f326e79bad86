"""A small workspace behind a real `dpedkit review`, and a real Chromium in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import CommandLine
from page_server import serving
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dpedkit.images import encode_jpeg
from dpedkit.train.networks import Generator
from dpedkit.train.networks.dped import mix_colours, start_from_photo
from dpedkit.train.weights import save_generator

SHOTS, SIZE = 5, (420, 320)
expect.set_options(timeout=60_000)  # other tests share the machine


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def root(cli: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five shots of a DSLR and one phone that are aligned already, the phone's photos darker, cut into patches."""
    base = tmp_path_factory.mktemp("web")
    rng = np.random.default_rng(0)
    for side in ("dslr", "phone"):
        (base / side).mkdir()
    for number in range(SHOTS):
        blocks = rng.integers(0, 256, (SIZE[1] // 20, SIZE[0] // 20, 3)).repeat(20, axis=0).repeat(20, axis=1)
        picture = np.clip(blocks + rng.normal(0, 12, blocks.shape), 0, 255)
        (base / "dslr" / f"{number}.jpg").write_bytes(encode_jpeg(picture.astype(np.uint8)))
        (base / "phone" / f"{number}.jpg").write_bytes(encode_jpeg((picture * 0.6).astype(np.uint8)))
    ws = base / "ws"
    cli.run("init", ws, cwd=base)
    cli.run("import", "pairs", "--input", base / "phone", "--target", base / "dslr", "--phone", "sony", cwd=ws)
    cli.run("build-patches", "--jobs", 1, cwd=ws)
    return ws


@pytest.fixture(scope="session")
def address(cli: CommandLine, root: Path) -> Iterator[str]:
    with serving(cli, root) as printed:
        yield printed


@pytest.fixture(scope="session")
def models(root: Path) -> Path:
    """Two models of that workspace: one that brightens, and one that darkens and is stamped."""
    for name, gain in (("brighter", 1.3), ("darker", 0.6)):
        rng = torch.Generator().manual_seed(3)
        generator = Generator(width=32, blocks=1, rng=rng)
        start_from_photo(generator, rng)
        mix_colours(generator, np.eye(3) * gain, np.zeros(3))
        config = {"for_results": False, "vgg": "random:0"} if name == "darker" else {}
        (root / "runs" / name).mkdir()
        save_generator(root / "runs" / name / "best.safetensors", generator, {"config": config})
    return root


@pytest.fixture(scope="session")
def site(cli: CommandLine, models: Path) -> Iterator[str]:
    """The address of `dpedkit serve`."""
    with serving(cli, models, "--max-upload", "3MB", "--max-megapixels", "1", command="serve") as printed:
        yield printed


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of its own that shows the grid; nothing may go wrong in it unseen."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.get_by_test_id("card").first.wait_for()
    yield page
    context.close()
    assert wrong == []
