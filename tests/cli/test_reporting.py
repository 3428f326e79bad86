"""dpedkit report: a page on a run, a page that compares several, and what is drawn on them."""

from __future__ import annotations

import html
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from command_line import CommandLine
from PIL import Image

from dpedkit.db import RunRecord, open_corpus
from dpedkit.errors import UsageError
from dpedkit.images import read_rgb
from dpedkit.stages.run_drawing import GainRow, draw_gains
from dpedkit.stages.run_facts import find_runs
from dpedkit.stages.run_pictures import COLOUR_RAMP, paint
from dpedkit.train import load_recipe
from dpedkit.workspace import find_workspace

MINE = """
summary = "my <own>"
iterations = 4
eval_every = 2
batch = 2
[generator]
kind = "csrnet"
width = 8
condition = 4
[losses]
content = 0
texture = 0
colour = 0
tv = 0
l1 = 1
"""
RANDOM = ["--recipe", "johnson", "--vgg", "random:3", "--set", "generator.width=4", "--set", "generator.blocks=1"]


@pytest.fixture(scope="module")
def reported(cli: CommandLine, judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run of a shipped recipe, one of one's own, and one that is not for results."""
    root = Path(shutil.copytree(judged, tmp_path_factory.mktemp("reported") / "ws"))
    (root / "mine.toml").write_text(MINE)
    cli.run("train", "--phone", "sony", "--recipe", "mine.toml", "--seed", "7", cwd=root)
    cli.run("train", "--phone", "sony", *RANDOM, "--set", "iterations=2", "--set", "batch=1", cwd=root)
    return root


@pytest.fixture(scope="module")
def single(cli: CommandLine, reported: Path) -> tuple[str, Any]:
    """The page on one run, and the command's JSON."""
    told = cli.json("report", "sony-small", "--device", "cpu", cwd=reported)
    assert told["page"] == str(reported / "runs" / "sony-small" / "report.html")
    return Path(told["page"]).read_text(), told


@pytest.fixture(scope="module")
def compared(cli: CommandLine, reported: Path) -> str:
    """The page on all three."""
    words = ["report", "sony-small", "sony-mine", "sony-johnson", "--photos", "5", "--device", "cpu"]
    shown = cli.run(*words, cwd=reported).stdout
    assert shown == "report: reports/compare-sony-small-sony-mine-sony-johnson.html\n"
    return (reported / shown.split()[1]).read_text()


def commands_on(page: str) -> list[list[str]]:
    return [shlex.split(html.unescape(text)) for text in re.findall(r"<pre>(dpedkit [^<]*)</pre>", page)]


def test_a_page_needs_no_other_file_and_no_network(single: tuple[str, Any], compared: str) -> None:
    for page in (single[0], compared):
        assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
        assert "<script" not in page
        sources = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert [source[:40] for source in sources if not source.startswith(("data:image/jpeg;base64,", "#"))] == []
        for target in (source for source in sources if source.startswith("#")):
            assert f'id="{target[1:]}"' in page


def test_the_page_says_what_the_command_measured(single: tuple[str, Any]) -> None:
    page, told = single
    run = next(score for score in told["scores"]["scores"] if score["name"] == "sony-small")
    gain = run["over_phone"]["psnr"]
    assert f"{run['psnr']:.2f}<small>" in page
    assert f"{run['psnr_authors']:.2f}</td>" in page
    spread = f"{gain['value']:+.2f} dB [{gain['low']:+.2f}, {gain['high']:+.2f}]"
    assert f"On 7 photos of sony in the test split, sony-small is above the phone&#39;s own photo: {spread}" in page
    means = next(each for each in told["artefacts"]["methods"] if each["method"] == "sony-small")["means"]
    for name in ("colour_dslr", "contrast_dslr", "noise_gain"):
        assert f"<td>{means[name]['value']:.2f}<small>" in page
    worst = next(each for each in told["artefacts"]["methods"] if each["method"] == "sony-small")["worst"]
    for kind, found in worst.items():
        assert f"<b>sony-small, {kind} {found['value']:.2f}</b> on shot {found['shot']}" in page
    assert page.count('<figure class="photo">') == 4
    assert page.count('<figure class="card">') == 3
    assert re.findall(r'alt="validation patches, (step \d+)', page) == ["step 3", "step 6"]


def test_the_command_on_the_page_trains_the_same_weights(
    cli: CommandLine, reported: Path, compared: str, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(reported, tmp_path / "ws"))
    trainings = [words for words in commands_on(compared) if words[1] == "train"]
    assert len(trainings) == 3
    recipe = re.search(r"<summary>mine.toml</summary><pre>([^<]*)</pre>", compared)
    assert recipe is not None
    (root / "mine.toml").write_text(html.unescape(recipe[1]))
    for words, name in zip(trainings, ("sony-small", "sony-mine", "sony-johnson"), strict=True):
        assert cli.json(*words[1:], cwd=root)["run"] == f"{name}-2"
        same = [(root / "runs" / run / "best.safetensors").read_bytes() for run in (name, f"{name}-2")]
        assert same[0] == same[1], name
    assert (root / "runs" / "sony-mine-2" / "config.json").read_text() == (
        root / "runs" / "sony-mine" / "config.json"
    ).read_text()


def test_what_is_not_for_results_says_so_wherever_it_is_judged(
    cli: CommandLine, reported: Path, single: tuple[str, Any], compared: str
) -> None:
    stamp = "sony-johnson: not for results: trained with random:3"
    assert f'<p class="stamp">{stamp}' in compared
    assert "not for results" not in single[0]
    for command in ("evaluate", "artefacts"):
        assert f"\n{stamp}\n" in cli.run(command, "--run", "sony-johnson", cwd=reported).stdout
    with open_corpus(reported) as corpus:
        corpus.store.add_run(RunRecord("sony-johnson", "sony", "johnson", corpus.runs()["snapshot_hash"].iloc[0]))
    asked = ["evaluate", "--run", "sony-johnson", "--json"]  # as one that was stopped: the corpus has no config of it
    assert "not for results: trained with random:3" in cli.run(*asked, cwd=reported).stdout


def test_runs_are_compared_on_the_same_photos_and_by_what_differs(compared: str) -> None:
    assert re.search(r"sony-mine is .*; (above|below|not told apart from) sony-small: [+-]", compared)
    differing = compared.partition("In what they differ")[2].partition("All settings")[0]
    assert "<td>recipe.generator.width</td><td>16</td><td>8</td><td>4</td>" in differing
    assert "recipe.losses.tv" not in differing
    assert "my &lt;own&gt;" in compared
    for name in ("sony", "sony-small", "sony-mine", "sony-johnson", "DSLR"):
        assert compared.count(f'alt="{name}">') >= 4


def test_pages_fit_wide_and_narrow_screens(
    reported: Path, single: tuple[str, Any], compared: str, tmp_path: Path
) -> None:
    if not shutil.which("chromium"):
        pytest.skip("needs chromium: apt-get install chromium")
    for width in (1280, 390):
        with Browser(tmp_path / str(width), size=(width, 900)) as browser:
            for page in (reported / "runs/sony-small/report.html", *(reported / "reports").glob("compare-*.html")):
                browser.open(page)
                assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth") is True
                assert browser.evaluate("[...document.images].every(each => each.naturalWidth > 0)") is True
            assert browser.errors == []


def test_wrong_runs_are_refused(cli: CommandLine, reported: Path, tmp_path: Path) -> None:
    assert "no run 'sony-smal'" in cli.error("report", "sony-smal", cwd=reported, code=2)
    root = Path(shutil.copytree(reported, tmp_path / "ws"))
    workspace = find_workspace(root)
    with open_corpus(root) as corpus:
        listed = corpus.runs()["snapshot_hash"].iloc[0]
        corpus.store.add_run(RunRecord("iphone-small", "iphone", "small", listed))
        with pytest.raises(UsageError, match="runs of iphone and sony"):
            find_runs(workspace, corpus, ["sony-small", "iphone-small"])
        for file in (root / "runs" / "sony-small").glob("*.safetensors"):
            file.unlink()
        with pytest.raises(UsageError, match="has no checkpoint"):
            find_runs(workspace, corpus, ["sony-small"])


def test_the_recipe_on_the_page_is_the_one_that_was_used(reported: Path, tmp_path: Path) -> None:
    with open_corpus(reported) as corpus:
        (run,) = find_runs(find_workspace(reported), corpus, ["sony-mine"])
    (tmp_path / "mine.toml").write_text(run.recipe_file)
    assert load_recipe(tmp_path / "mine.toml").model_dump(mode="json") == run.config["recipe"]
    assert run.validation()[0] == [2.0, 4.0]
    assert set(run.losses()) == {"total", "l1"}


def test_a_long_log_is_drawn_as_means(reported: Path) -> None:
    with open_corpus(reported) as corpus:
        (run,) = find_runs(find_workspace(reported), corpus, ["sony-small"])
    log = [{"step": step, "total": float(step % 2)} for step in range(1, 20_001)]
    object.__setattr__(run, "log", log)
    steps, values = run.losses()["total"]
    assert len(steps) == 300
    assert values == pytest.approx([0.5] * 300, abs=0.01)
    assert steps == sorted(steps)


def test_gains_are_drawn_on_one_scale_that_holds_zero() -> None:
    rows = [
        GainRow("a", ours=False, value=2.0, low=1.0, high=3.0, photos=[0.5, 3.5]),
        GainRow("b", ours=True, value=-1.0, low=None, high=None, photos=[-1.0, np.inf]),
    ]
    drawn = draw_gains(rows)
    scale = {value: x for x, value in drawn.ticks}
    assert drawn.zero == scale[0.0]
    assert drawn.rows[0].x == scale[2.0]
    assert drawn.rows[0].ends == (scale[1.0], scale[3.0])
    assert drawn.rows[1].x == scale[-1.0]
    assert drawn.rows[1].ends is None
    assert all(drawn.left <= x <= drawn.width for row in drawn.rows for x in row.dots)
    assert sorted(scale.values()) == [x for _, x in sorted(scale.items())]


def test_maps_are_painted_by_their_ramp() -> None:
    painted = paint(np.array([[0.0, 3.0, 99.0, np.nan]]), COLOUR_RAMP)
    assert painted[0].tolist() == [[255, 255, 255], [255, 236, 160], [120, 20, 30], [235, 235, 235]]


def test_a_run_on_patches_alone_has_a_page_without_whole_photos(cli: CommandLine, given_patches: Path) -> None:
    cli.run("train", "--phone", "iphone", "--recipe", "small", "--set", "iterations=2", cwd=given_patches)
    page = Path(cli.json("report", "iphone-small", "--device", "cpu", cwd=given_patches)["page"]).read_text()
    assert "of this corpus only patches were given" in page
    assert "On 12 patches of iphone in the test split" in page
    assert '<figure class="photo">' not in page
    assert "resampled by patch" in page


def test_the_worst_place_is_shown_as_it_is(cli: CommandLine, reported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    photos = sorted((reported / "photos").glob("*/*_dslr.png"))
    for index, photo in enumerate(photos):
        rgb = read_rgb(photo)
        if index == 5:
            rgb[60:130, 80:150] = (255, 0, 255)
        Image.fromarray(rgb).save(folder / photo.name.replace("_dslr", "_sony"))
    told = cli.json("report", "sony-small", "--external", f"made={folder}", "--device", "cpu", cwd=reported)
    page = Path(told["page"]).read_text()
    card = re.search(r'<figure class="card">((?:(?!</figure>).)*made, colour .*?)</figure>', page, re.DOTALL)
    assert card is not None
    assert f"on shot {told['artefacts']['by_photo'][0]['shot'].partition('/')[0]}/0006" in card[1]
    assert re.findall(r'alt="([^"]*)"', card[1]) == ["sony", "made", "DSLR", "map"]
    assert told["artefacts"]["problems"] == []
