"""dpedkit import, align, build-patches: only what is missing is done, and a kill at any moment loses nothing."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from command_line import CommandLine, shards, tree, wait_until
from corpus_facts import facts, rows_done

from dpedkit.db import open_corpus

Stages = Callable[[str], Path]


@pytest.fixture
def folders(finished: Stages, tmp_path: Path) -> Path:
    """Folders of photos as people have them: dslr/view1.jpg goes with sony/VIEW1.JPG."""
    made = tmp_path / "my [red] photos"  # rich would take [red] for a colour
    source = next((finished("captured") / "photos").iterdir())
    for number in (1, 2, 3):
        for name in ("dslr", "sony", "iphone"):
            (made / name).mkdir(parents=True, exist_ok=True)
            target = f"view{number}.jpg" if name == "dslr" else f"VIEW{number}.JPG"
            shutil.copyfile(source / f"{number:04d}_{name}.jpg", made / name / target)
    return made


@pytest.fixture
def ws(cli: CommandLine, tmp_path: Path) -> Path:
    cli.run("init", "ws", cwd=tmp_path)
    return tmp_path / "ws"


def import_words(folders: Path, *phones: str) -> list[str]:
    words = ["import", "folder", "--pair-by", "name", "--dslr", f"{folders}/dslr"]
    return words + [word for phone in phones for word in ("--phone", f"{phone}={folders}/{phone}")]


def photos_of(ws: Path) -> dict[tuple[str, str], str]:
    """(name of the shot's photos, device) -> SHA-256."""
    with open_corpus(ws) as corpus:
        photos, shots = corpus.photos(), corpus.shots()
    scenes = dict(zip(shots["shot"], shots["scene"], strict=True))
    return {(scenes[row.shot], row.device): row.sha256 for row in photos.itertuples()}


def test_import_pairs_by_name_and_leaves_the_originals(cli: CommandLine, folders: Path, ws: Path) -> None:
    (folders / "sony" / "VIEW3.JPG").rename(folders / "sony" / "odd [red]one[bold].jpg")
    before = {name: tree(folders / name) for name in ("dslr", "sony", "iphone")}
    words = import_words(folders, "sony", "iphone")
    plan = cli.run(*words, "--dry-run", cwd=ws).stdout
    assert f"left out {folders}/sony/odd [red]one[bold].jpg: no DSLR photo of this name\n" in plan
    rows = [line.split() for line in plan.splitlines()]
    assert ["view3.jpg", "VIEW3.JPG"] in rows
    assert "3 shots would be imported, 0 known already, 1 photo left out" in plan
    assert photos_of(ws) == {}

    report = cli.json(*words, cwd=ws)
    assert report["unpaired"] == {f"{folders}/sony/odd [red]one[bold].jpg": "no DSLR photo of this name"}
    assert {name: tree(folders / name) for name in before} == before
    wanted = {("view1", "dslr"), ("view1", "sony"), ("view1", "iphone"), ("view2", "dslr"), ("view2", "sony")}
    wanted |= {("view2", "iphone"), ("view3", "dslr"), ("view3", "iphone")}
    held = photos_of(ws)
    assert held.keys() == wanted
    assert held["view2", "sony"] == before["sony"]["VIEW2.JPG"]
    stored = tree(ws)
    assert set(held.values()) <= set(stored.values())

    again = cli.json(*words, cwd=ws)
    assert (again["known"], again["session"]) == (3, "")
    assert {path for path in tree(ws) if path.startswith("photos/")} == {p for p in stored if p.startswith("photos/")}


def test_import_by_order(cli: CommandLine, folders: Path, ws: Path) -> None:
    for number, name in ((1, "a"), (2, "b"), (3, "c")):
        (folders / "sony" / f"VIEW{number}.JPG").rename(folders / "sony" / f"{name}.jpg")
    assert "--pair-by order" in cli.error(*import_words(folders, "sony"), cwd=ws, code=2)
    cli.run(*import_words(folders, "sony"), "--pair-by", "order", cwd=ws)
    assert photos_of(ws)["view3.jpg", "sony"] == tree(folders / "sony")["c.jpg"]
    (folders / "sony" / "d.jpg").write_bytes((folders / "sony" / "c.jpg").read_bytes() + b"other")
    assert "dslr 3, sony 4" in cli.error(*import_words(folders, "sony"), "--pair-by", "order", cwd=ws, code=2)


def test_a_phone_may_be_imported_later(cli: CommandLine, folders: Path, ws: Path) -> None:
    cli.run(*import_words(folders, "sony"), cwd=ws)
    cli.run(*import_words(folders, "sony", "iphone"), cwd=ws)
    assert len(photos_of(ws)) == 9
    with open_corpus(ws) as corpus:
        assert len(corpus.shots()) == 3
        assert len(corpus.pairs()) == 6
    (folders / "iphone" / "VIEW1.JPG").write_bytes((folders / "iphone" / "VIEW2.JPG").read_bytes()[:-2] + b"\xff\xd9")
    (folders / "iphone" / "VIEW2.JPG").write_bytes((folders / "iphone" / "VIEW3.JPG").read_bytes() + b"other")
    before = tree(ws / "photos")
    report = cli.json(*import_words(folders, "iphone"), cwd=ws, code=3)
    assert set(report["failures"]) == {"view2"}
    assert "has another photo of iphone already" in report["failures"]["view2"]
    assert tree(ws / "photos") == before


def test_a_file_that_is_no_photo_is_named_and_the_others_come_in(cli: CommandLine, folders: Path, ws: Path) -> None:
    (folders / "sony" / "VIEW2.JPG").write_bytes(b"not a photo")
    done = cli.run(*import_words(folders, "sony"), cwd=ws, code=3)
    assert f"failed {folders}/sony/VIEW2.JPG: not a photo of a known kind\n" in done.stdout
    assert photos_of(ws).keys() == {(f"view{n}", name) for n in (1, 3) for name in ("dslr", "sony")}


def test_imported_photos_go_down_the_same_line(cli: CommandLine, folders: Path, ws: Path) -> None:
    cli.run(*import_words(folders, "iphone"), cwd=ws)
    report = cli.json("align", cwd=ws)
    assert [result["status"] for result in report["results"]] == ["aligned"] * 3
    assert max(result["residual_px"] for result in report["results"]) < 0.3
    assert cli.json("build-patches", cwd=ws)["kept"] > 0


def test_align_does_what_is_missing(cli: CommandLine, workspace: Stages, finished: Stages) -> None:
    root = workspace("aligned")
    before = tree(root)
    report = cli.json("align", "--dry-run", cwd=root)
    assert (report["results"], report["done_before"]) == ([], 12)
    assert tree(root) == before
    fresh = cli.json("align", "--dry-run", cwd=finished("captured"))
    assert (len(fresh["results"]), fresh["done_before"]) == (12, 0)
    wanted = facts(root)
    cli.run("align", cwd=root)
    assert repr(facts(root)) == repr(wanted)


def test_build_patches_does_what_is_missing(cli: CommandLine, workspace: Stages, finished: Stages) -> None:
    plan = cli.json("build-patches", "--dry-run", cwd=finished("aligned"))
    assert (plan["pairs"], plan["done_before"]) == (12, 0)
    assert shards(finished("aligned")) == {}
    root = workspace("patched")
    wanted = facts(root)
    before = tree(root)
    assert cli.json("build-patches", "--dry-run", cwd=root)["pairs"] == 0
    assert tree(root) == before
    assert len(wanted["shards"]) == 12
    assert all(name == f"{digest}.npy" for name, digest in wanted["shards"].items())
    assert {row["split"] for row in wanted["splits"]} == {"train", "val", "test"}
    gone = sorted(wanted["shards"])[3]
    (root / "patches" / gone).unlink()
    report = cli.json("build-patches", cwd=root)
    assert (report["pairs"], report["done_before"]) == (1, 11)
    assert repr(facts(root)) == repr(wanted)


def processes_in(folder: Path) -> list[int]:
    """Return the processes that work in a folder."""
    return [process.pid for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]


@pytest.mark.parametrize(
    ("stage", "before", "after"), [("align", "captured", "aligned"), ("build-patches", "aligned", "patched")]
)
def test_a_killed_command_goes_on_where_it_was(
    cli: CommandLine, workspace: Stages, finished: Stages, stage: str, before: str, after: str
) -> None:
    root = workspace(before)
    wanted = facts(finished(after))
    for number in (signal.SIGKILL, signal.SIGINT):
        enough = rows_done(root, stage) + 2  # from where the last one stopped: it may have come further than asked
        group = number == signal.SIGINT  # Ctrl-C reaches the workers, too; they hear of a kill by themselves
        words = (stage, "--jobs", 1)  # one worker: it must not end before it is stopped
        done = cli.stop_when(
            lambda enough=enough: rows_done(root, stage) >= enough,
            number,
            *words,
            cwd=root,
            group=group,
            stepwise=True,
        )
        wait_until(lambda: not processes_in(root))
        assert done.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[number]
        assert "Traceback" not in done.stderr
        assert enough <= rows_done(root, stage) < 12
        for shard in shards(root):  # each whole, whether or not its rows were written
            assert shards(root)[shard] == shard.removesuffix(".npy")
    assert done.stderr.splitlines()[-2:] == [
        "error: stopped",
        "  what was finished is kept: run the same command again to go on",
    ]
    report = cli.json(stage, cwd=root)
    assert 0 < report["done_before"] < 12
    assert repr(facts(root)) == repr(wanted)
