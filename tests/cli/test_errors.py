"""What goes wrong is told in a line of cause and a line of remedy; nothing that was finished is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine, enlarge, shards, tree

Stages = Callable[[str], Path]


@pytest.mark.parametrize("words", ["status", "train --phone sony --recipe small"])
def test_no_workspace(cli: CommandLine, tmp_path: Path, words: str) -> None:
    error = cli.error(*words.split(), cwd=tmp_path, code=2)
    assert f"no dpedkit.toml in {tmp_path} or above" in error
    assert "dpedkit init" in error


@pytest.mark.parametrize(
    ("stage", "words", "code", "cause", "remedy"),
    [
        ("", "align", 1, "no pairs to align", "dpedkit capture"),
        ("", "build-patches", 1, "no aligned pairs", "dpedkit align"),
        ("", "train --phone sony --recipe small", 2, "no phone 'sony'", "phones: none"),
        ("captured", "build-patches", 1, "no aligned pairs", "dpedkit align"),
        ("aligned", "train --phone sony --recipe small", 1, "no kept patches of phone 'sony'", "dpedkit build-patches"),
        ("aligned", "evaluate", 1, "no patches in the test split", "dpedkit build-patches"),
        ("patched", "train --phone nokia --recipe small", 2, "no phone 'nokia'", "blackberry, iphone, sony"),
        ("patched", "train --phone sony --recipe smal", 2, "no recipe 'smal', did you mean 'small'?", "csrnet, dped, "),
        ("patched", "train --phone sony --recipe small --set itrations=3", 2, "'iterations'", "known keys"),
        ("patched", "capture --rig tirpod", 2, "no file", "tripod"),
        ("patched", "align --jbos 2", 2, "'--jobs'", "dpedkit align --help"),
        ("patched", "enhance nothing.jpg --model iphone_orig", 2, "nothing.jpg: no such file", "give photos"),
        ("patched", "enhance photos --model runs/none", 2, "no photos in photos", ".jpg"),
    ],
)
def test_what_a_command_needs_is_named(
    cli: CommandLine, finished: Stages, tmp_path: Path, stage: str, words: str, code: int, cause: str, remedy: str
) -> None:
    if stage:
        root = finished(stage)
    else:
        root = tmp_path / "empty"
        cli.run("init", root, cwd=tmp_path)
    first, second = cli.error(*words.split(), cwd=root, code=code).splitlines()
    assert cause in first
    assert remedy in second


def test_an_error_with_json_is_one_document_too(cli: CommandLine, tmp_path: Path) -> None:
    document = cli.json("status", cwd=tmp_path, code=2)
    assert document["exit_code"] == 2
    assert document["remedy"].startswith("make a workspace")
    assert cli.json("status", "--frobnicate", cwd=tmp_path, code=2)["error"].startswith("No such option")


def test_a_wrong_key_in_the_settings_is_named_with_the_nearest(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("captured")
    settings = root / "dpedkit.toml"
    settings.write_text(settings.read_text().replace("train = 0.7", "trian = 0.7"))
    error = cli.error("align", cwd=root, code=2)
    assert f"{settings}: split.trian: unknown key, did you mean 'train'?" in error


def test_a_photo_that_kills_its_decoder_takes_its_worker_and_no_more(
    cli: CommandLine, workspace: Stages, tmp_path: Path
) -> None:
    root = workspace("captured")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('0002_iphone.jpg'):\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "sys.addaudithook(hook)\n"
    )
    done = cli.run("align", cwd=root, code=3, env={"PYTHONPATH": str(tmp_path)})
    failed = [line for line in done.stdout.splitlines() if "failed" in line]
    assert len(failed) == 2
    assert "0002 iphone" in failed[0]
    assert "its worker process died (exit code -11)" in failed[0]
    assert failed[1] == "11 aligned, 0 rejected, 1 failed, 0 done before"
    assert cli.json("status", cwd=root)["refused"] == {failed[0].split("  ")[0]: "worker_died"}
    report = cli.json("align", cwd=root)
    assert [result["status"] for result in report["results"]] == ["aligned"]


def test_a_truncated_photo_is_named_and_the_others_are_aligned(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("captured")
    (photo,) = root.glob("photos/*/0003_sony.jpg")
    whole = photo.read_bytes()
    photo.write_bytes(whole[: len(whole) // 2])
    done = cli.run("align", cwd=root, code=3)
    assert f"{photo}: " in done.stdout
    assert "11 aligned, 0 rejected, 1 failed, 0 done before" in done.stdout
    photo.write_bytes(whole)
    assert cli.json("align", cwd=root)["done_before"] == 11


def test_a_corrupt_index_is_told_and_left_alone(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("captured")
    (root / "corpus.db").write_bytes(b"no database at all" * 1000)
    before = tree(root)
    error = cli.error("status", cwd=root, code=1)
    assert f"{root}/corpus.db is not a sound database" in error
    assert "backup" in error
    assert tree(root) == before
    finding = next(found for found in cli.json("doctor", cwd=root, code=1) if found["level"] == "problem")
    assert "not a sound database" in finding["found"]


def test_a_missing_shard_is_named_and_made_again(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    whole = shards(root)
    for name in whole:
        (root / "patches" / name).unlink()
    for words in (["evaluate"], ["train", "--phone", "sony", "--recipe", "small"]):
        error = cli.error(*words, cwd=root, code=1)
        assert any(f"{name} is missing" in error for name in whole)
        assert "dpedkit build-patches" in error
    assert list((root / "runs").iterdir()) == []
    cli.run("build-patches", cwd=root)
    assert shards(root) == whole


def test_missing_vgg_weights_leave_no_run_in_the_way(cli: CommandLine, workspace: Stages, tmp_path: Path) -> None:
    root = workspace("patched")
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(tmp_path)}
    error = cli.error("train", "--phone", "iphone", cwd=root, code=1, env=offline)
    assert "VGG-19's weights could not be fetched" in error
    assert "--vgg FILE" in error
    assert cli.json("status", cwd=root)["runs"] == {"iphone-dped": "failed"}
    assert list((root / "runs").iterdir()) == []
    assert "no unfinished dped run" in cli.error("train", "--phone", "iphone", "--resume", cwd=root, code=2)
    assert cli.json("train", "--phone", "iphone", "--dry-run", cwd=root)["run"] == "iphone-dped"


@pytest.mark.parametrize(
    ("module", "words", "pip"),
    [
        ("torch", ["train", "--phone", "sony", "--recipe", "small"], "pip install 'dpedkit[train]'"),
        ("torch", ["evaluate"], "pip install 'dpedkit[train]'"),
        ("adb_shell", ["devices", "--rig", "tripod"], "pip install 'dpedkit[capture]'"),
        ("gphoto2", ["capture"], "pip install 'dpedkit[capture]'"),
        ("distributed", ["align", "--compare-modes", "--cluster", "tcp://head:8786"], "pip install 'dpedkit[cluster]'"),
    ],
)
def test_a_missing_extra_says_how_to_get_it(
    cli: CommandLine, finished: Stages, module: str, words: list[str], pip: str
) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from dpedkit.cli import main; main({words!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=finished("patched"), env=cli.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode in (1, 4), (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert pip in done.stdout + done.stderr


def test_a_full_disk_loses_nothing(cli: CommandLine, finished: Stages, small_disk: Path) -> None:
    source = finished("aligned")
    root = small_disk / "ws"
    root.mkdir()
    for name in ("dpedkit.toml", "corpus.db", "rigs"):
        subprocess.run(["cp", "-r", source / name, root], check=True)
    (root / "photos").symlink_to(source / "photos")
    (root / "patches").mkdir()
    error = cli.error("build-patches", cwd=root, code=1)
    assert "no space left" in error
    assert "free some space and run the same command again" in error
    enlarge(small_disk)
    written = shards(root)
    assert all(name == f"{digest}.npy" for name, digest in written.items())
    report = cli.json("build-patches", cwd=root)
    assert 0 < report["done_before"] < 12
    assert shards(root) == shards(finished("patched"))
