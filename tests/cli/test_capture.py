"""What `dpedkit capture` can be told, on the simulated rig, against what the simulator knows to be true."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from fcntl import ioctl
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from command_line import DPEDKIT, CommandLine, Simulated, set_scale, tree, wait_until

from dpedkit.capture.simulate.truth import Truth, load_truth
from dpedkit.db import open_corpus

NAMES = ["dslr", "sony", "blackberry", "iphone"]
S = 1_000_000_000
Rigs = Callable[..., Path]


@pytest.fixture
def rig_with(cli: CommandLine, tmp_path: Path) -> Rigs:
    """Return what makes a workspace with a simulated rig of tiny photos."""

    def make(*, more: str = "", files: dict[str, str] | None = None) -> Path:
        root = tmp_path / "ws"
        cli.run("init", root, "--rig", "simulated", cwd=tmp_path)
        set_scale(root, 0.02)
        rig = root / "rigs" / "tripod.toml"
        text = rig.read_text().replace('driver = "', 'timeout_s = 4\ndriver = "')
        for name, endings in (files or {}).items():
            before, after = text.split(f'name = "{name}"')
            text = f'{before}name = "{name}"{re.sub(r"files = .*", f"files = {endings}", after, count=1)}'
        rig.write_text(f"{text}\n{more}")
        return root

    return make


def fault(device: str, name: str, shots: list[int], more: str = "") -> str:
    return f'[[simulated.fault]]\ndevice = "{device}"\nfault = "{name}"\nshots = {shots}\n{more}\n'


def recorded(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    with open_corpus(root) as corpus:
        return corpus.shots(), corpus.photos()


def truths(root: Path, photos: pd.DataFrame) -> list[Truth]:
    return [load_truth(root / ".simulated" / "tripod" / "truth", sha256) for sha256 in photos["sha256"]]


def cards(root: Path) -> dict[str, str]:
    """Every photo on the devices, with its SHA-256."""
    return {path: sha256 for path, sha256 in tree(root / ".simulated" / "tripod").items() if "/card/DCIM/" in path}


def test_a_countdown_and_an_interval_are_kept(cli: CommandLine, rig_with: Rigs) -> None:
    root = rig_with()
    begin_ns = time.time_ns()
    events = cli.events("capture", "--shots", 3, "--countdown", 5, "--interval", 2.5, cwd=root)
    planned = [event for event in events if event["event"] == "planned"]
    assert planned[0]["at_ns"] < planned[0]["plan"]["at_ns"] - 2 * S, "the countdown is told when it begins"
    shots, photos = recorded(root)
    for sha256, taken in zip(photos["sha256"], truths(root, photos), strict=True):
        assert taken.shutter_ns >= begin_ns + 5 * S, sha256
    assert [after - before >= 2.5 * S for before, after in pairwise(shots["scheduled_ns"])] == [True, True]
    photos["taken"] = pd.to_datetime(photos["taken_at"], format="ISO8601")
    for name in NAMES:
        taken = photos[photos["device"] == name].sort_values("shot")["taken"]
        assert all(after - before > pd.Timedelta("2.3s") for before, after in pairwise(taken)), name


def test_bad_shots_are_fired_again_at_the_same_scene(cli: CommandLine, rig_with: Rigs) -> None:
    root = rig_with(more=fault("sony", "slow_trigger", [1]) + fault("sony", "no_file", [3]))
    report = cli.events("capture", "--shots", 2, "--retry", 1, cwd=root)[-1]
    one, again, two, two_again = report["shots"]
    assert (one["status"], one["flags"], one["retry_of"]) == ("complete", ["skew"], None)
    assert (again["status"], again["flags"], again["retry_of"]) == ("complete", [], one["key"])
    assert (two["status"], list(two["failures"]), two["retry_of"]) == ("incomplete", ["sony"], None)
    assert (two_again["status"], two_again["retry_of"]) == ("complete", two["key"])
    _, photos = recorded(root)
    scenes = [{taken.scene for taken in truths(root, mine)} for _, mine in photos.groupby("shot")]
    assert [len(scene) for scene in scenes] == [1] * 4
    assert scenes[0] == scenes[1] != scenes[2] == scenes[3]


def test_a_shot_that_stays_bad_is_given_up_after_so_many_retries(cli: CommandLine, rig_with: Rigs) -> None:
    root = rig_with(more=fault("sony", "no_file", []))
    report = cli.events("capture", "--retry", 1, cwd=root, code=4)[-1]
    first, second = report["shots"]
    assert [shot["status"] for shot in (first, second)] == ["incomplete"] * 2
    assert (first["retry_of"], second["retry_of"]) == (None, first["key"])


def test_raw_and_heic_files_are_stored_beside_their_pictures(cli: CommandLine, rig_with: Rigs) -> None:
    if find_spec("pillow_heif") is None:
        pytest.skip("pillow-heif is not installed")
    root = rig_with(files={"dslr": '["jpg", "cr2"]', "sony": '["jpg", "dng"]', "iphone": '["heic"]'})
    report = cli.events("capture", "--shots", 2, cwd=root)[-1]
    assert [shot["status"] for shot in report["shots"]] == ["complete"] * 2
    _, photos = recorded(root)
    for shot, mine in photos.groupby("shot"):
        assert sorted(zip(mine["device"], mine["format"], strict=True)) == [
            ("blackberry", "jpg"),
            ("dslr", "cr2"),
            ("dslr", "jpg"),
            ("iphone", "heic"),
            ("sony", "dng"),
            ("sony", "jpg"),
        ]
        assert len({taken.scene for taken in truths(root, mine)}) == 1, shot
        releases = {(taken.camera, taken.release) for taken in truths(root, mine)}
        assert len(releases) == 4, "a RAW of another release than its picture"
    assert set(photos["path"]) == {f"photos/{path}" for path in tree(root / "photos") if not path.endswith(".json")}
    assert sorted(photos["sha256"]) == sorted(cards(root).values())
    assert photos["width"].notna().all()
    assert photos["shutter_ns"].notna().all()


def test_delete_frees_the_devices_of_what_is_stored_here_and_of_nothing_else(cli: CommandLine, rig_with: Rigs) -> None:
    late = fault("sony", "late_file", [3], "after_s = 9")
    root = rig_with(files={"dslr": '["jpg", "cr2"]'}, more=late)
    simulated = Simulated(cli, root)
    try:
        cli.run("capture", cwd=root)
        older = cards(root)
        assert len(older) == 5
        report = cli.events("capture", "--shots", 2, "--delete", cwd=root, code=4)[-1]
        assert [list(shot["failures"]) for shot in report["shots"]] == [[], ["sony"]]
        wait_until(lambda: len(cards(root)) == 6)
    finally:
        simulated.process.send_signal(signal.SIGINT)
        simulated.process.communicate(timeout=60)
    left = cards(root)
    assert left.items() > older.items(), "a photo of an earlier session is gone"
    (late_photo,) = left.keys() - older.keys()
    assert "/sony/" in f"/{late_photo}"
    _, photos = recorded(root)
    assert len(photos) == 5 + 9
    assert left[late_photo] not in set(photos["sha256"])
    stored = {path: digest for path, digest in tree(root / "photos").items() if not path.endswith(".json")}
    assert sorted(stored.values()) == sorted(photos["sha256"])


def test_elsewhere_than_on_a_terminal_there_is_a_line_for_each_shot(cli: CommandLine, rig_with: Rigs) -> None:
    root = rig_with(more=fault("iphone", "no_file", [2]))
    done = cli.run("capture", "--shots", 2, cwd=root, code=4)
    lines = [line for line in done.stderr.splitlines() if line.startswith("shot ")]
    assert "\x1b" not in done.stderr + done.stdout
    assert re.fullmatch(r"shot 1: 4 photos, skew \d+ ± \d+ ms", lines[0])
    assert lines[1].startswith("shot 2: iphone: no .jpg photo within 4 s")
    assert re.fullmatch(r"shot 2: 3 photos, skew \d+ ± \d+ ms, incomplete", lines[2])
    assert len(lines) == 3
    assert done.stdout.splitlines()[-1] == "2 shots, 1 incomplete"
    quiet = cli.run("capture", "-q", cwd=root)
    assert quiet.stderr == ""
    assert quiet.stdout.splitlines()[-1] == "1 shot, 0 incomplete"


def test_with_json_each_thing_that_happens_is_a_line(cli: CommandLine, rig_with: Rigs) -> None:
    root = rig_with()
    done = cli.run("capture", "--shots", 2, "--json", cwd=root)
    assert not [line for line in done.stderr.splitlines() if line.startswith("shot ")]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds.count("planned"), kinds.count("fired"), kinds.count("stored"), kinds.count("settled")) == (2, 8, 8, 2)
    assert [kind for kind in kinds if kind in ("error", "report")] == ["report"] == kinds[-1:]
    told_ns = [event["at_ns"] for event in events[:-1]]
    assert told_ns == sorted(told_ns)
    _, photos = recorded(root)
    assert {event["photo"]["sha256"] for event in events if event["event"] == "stored"} == set(photos["sha256"])


def on_a_terminal(cli: CommandLine, root: Path, *words: str, until: str = "") -> tuple[int, str, str]:
    """Run a command whose stderr is a terminal; return its exit code, what the terminal was sent, and its stdout.

    until  what the terminal shows when Ctrl-C is pressed; "": never
    """
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    environment = {**cli.environment, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [DPEDKIT, *words],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        start_new_session=True,
    )
    os.close(slave)
    sent = b""
    try:
        while data := _read(master):
            sent += data
            if until and until in sent.decode(errors="replace"):
                os.killpg(process.pid, signal.SIGINT)
                until = ""
        stdout, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return process.returncode, sent.decode(), stdout


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # all who wrote to it are gone: Linux says so with EIO
        return b""


def shown(sent: str) -> str:
    """What a terminal was sent, without its control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent)


def test_on_a_terminal_a_table_shows_every_device_and_ends_cleanly(cli: CommandLine, rig_with: Rigs) -> None:
    root = rig_with(more=fault("iphone", "no_file", [2]))
    code, sent, stdout = on_a_terminal(cli, root, "capture", "--shots", "2")
    assert code == 4
    last = shown(sent).replace("\r", "").rpartition("device ")[2]
    for name in NAMES:
        assert re.search(rf"^{name} +(ready|waiting|pulling)\b.*\d%.* GB.* ms", last, re.MULTILINE), last
    assert re.search(r"shot 2 .* 2 of 2 done .* last skew \d+ ± \d+ ms", last)
    assert "shot 2: iphone: no .jpg photo within 4 s" in shown(sent)
    assert "Traceback" not in sent
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l"), "the cursor is left hidden"
    assert stdout.splitlines()[-1] == "2 shots, 1 incomplete"


def test_ctrl_c_on_a_terminal_leaves_it_as_it_was(cli: CommandLine, rig_with: Rigs) -> None:
    code, sent, stdout = on_a_terminal(cli, rig_with(), "capture", "--shots", "500", until="1 of 500 done")
    assert code == 130
    assert "Traceback" not in sent
    after = sent[sent.rindex("\x1b[?25h") :]
    assert "\x1b[?25l" not in after
    assert shown(after).split("\r\n")[-3:] == [
        "error: stopped",
        "  the photos taken are kept: `dpedkit capture --resume` goes on",
        "",
    ]
    assert stdout == ""
