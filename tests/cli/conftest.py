"""Workspaces that the real command line made: captured, aligned, cut and trained with the simulated rig."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from command_line import CommandLine, mount, set_scale
from judged_corpus import make_given, make_judged

STAGES = {
    "captured": [["init", ".", "--rig", "simulated"], ["capture", "--shots", "4", "--scene", "yard"]],
    "aligned": [["align"]],
    "patched": [["build-patches"]],
    "trained": [["train", "--phone", "iphone", "--recipe", "small", "--set", "iterations=6", "--set", "eval_every=3"]],
}


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a folder that is made once for all test processes, to be left as it is."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "workspaces"
    shared.mkdir(exist_ok=True)

    def find(name: str, make: Callable[[Path], object]) -> Path:
        folder, half = shared / name, shared / f"{name}.half"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                half.mkdir()
                make(half)
                half.rename(folder)
        return folder

    return find


@pytest.fixture(scope="session")
def finished(cli: CommandLine, once: Callable[[str, Callable[[Path], object]], Path]) -> Callable[[str], Path]:
    """Return a workspace that went through a stage, to be left as it is."""

    def make(stage: str, folder: Path) -> None:
        before = list(STAGES)[: list(STAGES).index(stage)]
        if before:
            folder.rmdir()
            copy_workspace(find(before[-1]), folder)
        for words in STAGES[stage]:
            cli.run(*words, cwd=folder)
            if words[0] == "init":
                set_scale(folder, 0.2)

    def find(stage: str) -> Path:
        return once(stage, partial(make, stage))

    return find


@pytest.fixture
def workspace(finished: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a copy of such a workspace for this test alone."""
    return lambda stage: copy_workspace(finished(stage), tmp_path / "ws")


@pytest.fixture(scope="session")
def judged(
    cli: CommandLine,
    once: Callable[[str, Callable[[Path], object]], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A workspace with seven photos to judge on and a run, to be left as it is but for its scores."""
    made = once("judged", partial(make_judged, cli))
    return copy_workspace(made, tmp_path_factory.mktemp("judged") / "copy") / "ws"


@pytest.fixture(scope="session")
def given_patches(cli: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with patches that came without photos, to be left as it is but for its scores."""
    return make_given(cli, tmp_path_factory.mktemp("given"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 4 MB; `enlarge` gives it 100."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or subprocess.run(mount(place, 4), capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def copy_workspace(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target, ignore=shutil.ignore_patterns(".simulated")))
