"""`dpedkit calibrate` on simulated rigs, whose lags are known."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from command_line import CommandLine, set_scale, tree

from dpedkit.capture.calibration import Calibration, load_calibrations, save_calibrations
from dpedkit.capture.simulate.state import StateFolder

TIMING = """
[simulated.timing.{name}]
lag_ms = {lag}
jitter_ms = 0
exif_lag_ms = {stamp}
cycle_ms = 100
write_ms = 50
"""
MADE = {"dslr": (60, 20), "sony": (180, -18), "blackberry": (290, 25), "iphone": (400, -40)}


@pytest.fixture
def workspace(cli: CommandLine, tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    cli.run("init", ".", "--rig", "simulated", cwd=folder)
    set_scale(folder, 0.12)
    rig = folder / "rigs" / "tripod.toml"
    timing = [TIMING.format(name=name, lag=lag, stamp=stamp) for name, (lag, stamp) in MADE.items()]
    rig.write_text(rig.read_text() + "".join(timing))
    return folder


def calibrations(workspace: Path) -> dict[str, Calibration]:
    return load_calibrations(workspace / "rigs" / "calibration" / "tripod.json")


def outdated(name: str) -> Calibration:
    return Calibration.model_validate(
        {
            "device": name,
            "driver": "adb",
            "trigger": "",
            "lag_ms": 123.0,
            "lag_spread_ms": 4.0,
            "shots": 24,
            "measured": "2020-01-31T12:00:00Z",
            "source": "clock",
        }
    )


def test_the_lags_of_a_simulated_rig_are_found(cli: CommandLine, workspace: Path) -> None:
    report = cli.json("calibrate", "--shots", 6, "-q", cwd=workspace)
    assert [one["device"] for one in report["devices"]] == list(MADE)
    assert report["failed"] == {}
    found = calibrations(workspace)
    for name, (lag_ms, stamp_lag_ms) in MADE.items():
        assert found[name].source == "clock"
        assert abs(found[name].lag_ms - lag_ms) < 25  # a busy machine releases late, and that is measured, too
        stamp_ms, bound_ms = found[name].stamp_lag_ms, found[name].stamp_bound_ms
        assert stamp_ms is not None
        assert bound_ms is not None
        assert abs(stamp_ms - stamp_lag_ms) <= bound_ms < 30
    assert not (workspace / ".calibration" / "tripod").exists()
    assert list((workspace / "photos").iterdir()) == []


def test_a_device_that_fails_keeps_its_calibration_and_the_others_get_theirs(cli: CommandLine, workspace: Path) -> None:
    rig = workspace / "rigs" / "tripod.toml"
    text = rig.read_text().replace('name = "sony"\n', 'name = "sony"\ntimeout_s = 2\n')
    rig.write_text(text + '\n[[simulated.fault]]\ndevice = "sony"\nfault = "no_file"\n')
    save_calibrations(workspace / "rigs" / "calibration" / "tripod.json", {"sony": outdated("sony")})
    done = cli.run("calibrate", "--shots", 5, "--keep", cwd=workspace, code=4)
    assert "no photos" in done.stdout
    assert "3 devices calibrated" in done.stdout
    found = calibrations(workspace)
    assert found["sony"] == outdated("sony")
    assert set(found) == set(MADE)
    kept = tree(workspace / ".calibration" / "tripod")
    assert len(kept) == 3 * 5


def test_ctrl_c_changes_nothing(cli: CommandLine, workspace: Path) -> None:
    file = workspace / "rigs" / "calibration" / "tripod.json"
    save_calibrations(file, {"sony": outdated("sony")})
    before = file.read_bytes()
    photos = workspace / ".calibration" / "tripod" / "clock"
    done = cli.stop_when(
        lambda: photos.is_dir() and any(photos.glob("*.jpg")), signal.SIGINT, "calibrate", "--shots", 50, cwd=workspace
    )
    assert done.returncode == 130
    assert "nothing was changed" in done.stderr
    assert file.read_bytes() == before


def test_one_device_alone_is_calibrated_and_its_card_is_empty_again(cli: CommandLine, workspace: Path) -> None:
    cli.run("calibrate", "--device", "iphone", "--shots", 5, "--delete", cwd=workspace)
    assert set(calibrations(workspace)) == {"iphone"}
    card = workspace / ".simulated" / "tripod" / "iphone" / "card"
    assert [path for path in card.rglob("*") if path.is_file()] == []


def test_a_device_that_is_not_simulated_is_fired_once_its_clock_is_shown(cli: CommandLine, workspace: Path) -> None:
    simulation = cli.start("simulate", "--json", cwd=workspace)
    try:
        assert simulation.stdout is not None
        line = next(line for line in simulation.stdout if '"iphone"' in line)
        address = line.split('"')[3]
        rig = workspace / "rigs" / "real.toml"
        text = (workspace / "rigs" / "tripod.toml").read_text().split("\n[simulated.timing.dslr]")[0]
        for place in ("ptpip:127.0.0.1:9", "tcp:127.0.0.1:8", "tcp:127.0.0.1:9", address):  # as they stand in the file
            text = text.replace('"simulated"', f'"{place}"', 1)
        rig.write_text(text.replace('name = "tripod"', 'name = "real"'))
        with StateFolder(workspace / ".simulated" / "tripod").showing_board():
            command = ("calibrate", "--rig", "real", "--device", "iphone", "--shots", 5)
            done = cli.run(*command, cwd=workspace, input="\n")
    finally:
        simulation.terminate()
        simulation.communicate(timeout=60)
    page = workspace / "rigs" / "calibration" / "clock.html"
    assert page.as_uri() in done.stderr
    assert "requestAnimationFrame" in page.read_text()
    found = load_calibrations(workspace / "rigs" / "calibration" / "real.json")
    assert (found["iphone"].source, found["iphone"].shots) == ("clock", 5)


def test_a_dry_run_touches_nothing(cli: CommandLine, workspace: Path) -> None:
    before = tree(workspace)
    plan = cli.json("calibrate", "--dry-run", "--device", "sony", cwd=workspace)
    assert (plan["devices"], plan["shots"], plan["page"]) == (["sony"], 24, None)
    assert tree(workspace) == before


def test_a_real_device_needs_a_screen(cli: CommandLine, workspace: Path) -> None:
    rig = workspace / "rigs" / "tripod.toml"
    lines = rig.read_text().split("\n[simulated.timing.dslr]")[0].replace('"simulated"', '"tcp:127.0.0.1:9"', 2)
    rig.write_text(lines.replace("tcp:127.0.0.1:9", "ptpip:127.0.0.1:9", 1))
    said = cli.run("calibrate", "--dry-run", cwd=workspace).stdout
    assert "clock.html" in said


@pytest.mark.parametrize(
    ("words", "cause"),
    [(["--device", "sonny"], "did you mean 'sony'"), (["--shots", "4"], "4 shots"), (["--rig", "other"], "other.toml")],
)
def test_what_cannot_be_is_one_line(cli: CommandLine, workspace: Path, words: list[str], cause: str) -> None:
    assert cause in cli.error("calibrate", *words, cwd=workspace, code=2)
