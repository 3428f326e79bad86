"""Sessions that were killed, and what the next command makes of them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from command_line import CommandLine
from scripted_site import install_scripted_camera

from dpedkit.db import open_corpus

NAMES = ("dslr", "sony", "htc")
SHOTS = 3
TESTS = Path(__file__).parents[1]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    install_scripted_camera(tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture
def scripted_cli(cli: CommandLine, site: Path) -> CommandLine:
    return cli.with_environment(PYTHONPATH=f"{site}:{TESTS}")


def make_workspace(cli: CommandLine, tmp_path: Path, faults: dict[str, str] | None = None) -> Path:
    root = tmp_path / "ws"
    cli.run("init", root, cwd=tmp_path)
    text = 'name = "tripod"\n'
    for name in NAMES:
        card = tmp_path / "cards" / name
        card.mkdir(parents=True)
        (card / "0000.JPG").write_bytes(b"an old holiday photo")
        text += f'[[device]]\nname = "{name}"\nrole = "{"dslr" if name == "dslr" else "phone"}"\ndriver = "scripted"\n'
        text += f'address = "card:{card}"\nfiles = ["jpg", "dng"]\ntimeout_s = 2\n'
        text += f'settings.fault = "{(faults or {}).get(name, "")}"\nsettings.at = 2\n'
    (root / "rigs" / "tripod.toml").write_text(text)
    return root


def dies_after(cli: CommandLine, root: Path, event: int) -> bool:
    """Run a session that is killed when it has heard so many events; return False where it came to its end before."""
    command = [sys.executable, str(TESTS / "dying_session.py"), str(root), str(event), str(SHOTS)]
    done = subprocess.run(command, env=cli.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 9


def check_nothing_is_lost(root: Path, tmp_path: Path) -> pd.DataFrame:
    """Every photo on every card is stored once, whole, in the shot it was taken for; return the shots."""
    with open_corpus(root) as corpus:
        photos, shots = corpus.photos(), corpus.shots()
    on_disk = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (root / "photos").glob("*/*")
        if path.suffix in (".jpg", ".dng")
    }
    assert sorted(on_disk) == sorted(photos["path"])
    assert not list((root / "photos").rglob("*.part"))
    by_bytes = Counter(on_disk.values())
    for name in NAMES:
        taken = [path for path in (tmp_path / "cards" / name).iterdir() if path.name != "0000.JPG"]
        for path in taken:
            assert by_bytes[path.read_bytes()] == 1, f"{path} is stored {by_bytes[path.read_bytes()]} times"
        assert len(taken) == (photos["device"] == name).sum()
    merged = photos.merge(shots, on="shot")
    jpegs = merged[merged["format"] == "jpg"]
    taken = pd.to_datetime(jpegs["taken_at"], utc=True, format="ISO8601")
    planned = pd.to_datetime(jpegs["scheduled_ns"], utc=True, unit="ns")
    assert ((taken - planned).abs() < pd.Timedelta("0.1s")).all(), "a photo stands in a shot it was not taken for"
    return shots


@pytest.mark.parametrize("event", [1, 4, 5, 8, 13, 17, 22, 27, 31, 40])
def test_after_a_kill_nothing_is_lost_doubled_or_mixed_up(
    scripted_cli: CommandLine, tmp_path: Path, event: int
) -> None:
    root = make_workspace(scripted_cli, tmp_path)
    assert dies_after(scripted_cli, root, event)
    report = scripted_cli.events("capture", "--resume", cwd=root)[-1]
    shots = check_nothing_is_lost(root, tmp_path)
    assert (shots["reason"] != "not finished").all()
    good = set(shots[shots["status"] == "complete"]["retry_of"].dropna()) | set(
        shots[shots["status"] == "complete"]["shot"]
    )
    originals = shots[shots["retry_of"].isna()]
    assert len(originals) == SHOTS or event == 1
    assert set(originals["shot"]) <= good, "a shot was left incomplete"
    assert not [shot for shot in report["shots"] if shot["status"] != "complete"]


def test_the_next_session_finishes_what_a_killed_one_left(scripted_cli: CommandLine, tmp_path: Path) -> None:
    root = make_workspace(scripted_cli, tmp_path)
    assert dies_after(scripted_cli, root, 17)
    scripted_cli.run("capture", cwd=root)
    shots = check_nothing_is_lost(root, tmp_path)
    assert shots["session"].nunique() == 2
    assert (shots["reason"] != "not finished").all()


def test_a_bad_shot_is_fired_again(scripted_cli: CommandLine, tmp_path: Path) -> None:
    root = make_workspace(scripted_cli, tmp_path, {"sony": "timeout"})
    report = scripted_cli.events("capture", "--shots", 2, "--retry", 1, cwd=root)[-1]
    session = report["session"]
    assert [(shot["status"], shot["retry_of"]) for shot in report["shots"]] == [
        ("complete", None),
        ("incomplete", None),
        ("complete", f"{session}/0002"),
    ]


def test_what_could_not_be_had_is_told_by_status_and_fired_again_by_resume(
    scripted_cli: CommandLine, tmp_path: Path
) -> None:
    root = make_workspace(scripted_cli, tmp_path, {"sony": "timeout"})
    scripted_cli.run("capture", "--shots", 2, cwd=root, code=4)
    assert "its battery door is open" in scripted_cli.run("status", cwd=root).stdout
    scripted_cli.run("capture", "--resume", cwd=root)
    shots = check_nothing_is_lost(root, tmp_path)
    assert list(shots["status"]) == ["complete", "incomplete", "complete"]
    assert "its battery door is open" in shots["reason"][1], "why it failed is forgotten"
    assert shots["retry_of"][2] == shots["shot"][1]


def test_nothing_is_deleted_unless_asked_for(scripted_cli: CommandLine, tmp_path: Path) -> None:
    root = make_workspace(scripted_cli, tmp_path)
    cards = tmp_path / "cards"
    scripted_cli.run("capture", cwd=root)
    assert all(len(list((cards / name).iterdir())) == 3 for name in NAMES)
    scripted_cli.run("capture", "--delete", cwd=root)
    assert all(len(list((cards / name).iterdir())) == 3 for name in NAMES), "only what this session stored is deleted"
    with open_corpus(root) as corpus:
        assert len(corpus.photos()) == 12


def test_two_commands_do_not_fire_one_rig(scripted_cli: CommandLine, tmp_path: Path) -> None:
    root = make_workspace(scripted_cli, tmp_path)
    running = scripted_cli.start("capture", "--countdown", 20, cwd=root)
    try:
        lock = root / "rigs" / "tripod.lock"
        while not lock.exists():
            assert running.poll() is None
        scripted_cli.error("capture", cwd=root, code=1)
    finally:
        running.kill()
        running.communicate()
    scripted_cli.run("capture", cwd=root)
