"""The wheel, installed in a fresh environment, is all of dpedkit and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SITE = Path(sysconfig.get_path("purelib"))

Run = Callable[..., str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that holds the wheel and borrows what dpedkit depends on from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_of_the_source(folder / "source")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    (borrowed,) = environment.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True, capture_output=True)
    assert sorted(path.name for path in borrowed.iterdir()) == ["dpedkit", f"{wheel.name.split('-py3')[0]}.dist-info"]
    (borrowed / "borrowed.pth").write_text(f"{SITE}\n")  # after its own packages, and not followed further
    return environment


def copy_of_the_source(target: Path) -> Path:
    """Copy what git knows, so that no leftover of an earlier build can fill a gap."""
    known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in known.split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((ROOT / name).read_bytes())
    return target


@pytest.fixture
def python(installed: Path, tmp_path: Path) -> Run:
    """Run the new environment's python far from the source, or a script that it installed."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DPEDKIT", "VIRTUAL"))}

    def run(*words: str, program: str = "python") -> str:
        command = [str(installed / "bin" / program), *words]
        done = subprocess.run(command, cwd=tmp_path, env=keep, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    return run


def test_every_module_comes_from_the_wheel(installed: Path, python: Run) -> None:
    sources = {"dpedkit": ROOT / "dpedkit"} | {
        f"dpedkit.{name}": ROOT / name for name in ("align", "capture", "db", "train")
    }
    wanted = set()
    for name, folder in sources.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            wanted.add(".".join((name, *parts)).removesuffix(".__init__"))
    code = """
import importlib, json, pkgutil, sys, dpedkit
names = ["dpedkit", *(module.name for module in pkgutil.walk_packages(dpedkit.__path__, "dpedkit."))]
names = [name for name in names if not name.endswith("__main__")]
print(json.dumps({name: importlib.import_module(name).__file__ for name in names}))
"""
    files = json.loads(python("-W", "ignore", "-c", code))
    assert files.keys() == {name for name in wanted if not name.endswith("__main__")}
    assert all(str(file).startswith(f"{installed}/lib/") for file in files.values())


def test_package_data_is_inside(python: Run) -> None:
    code = """
from dpedkit.capture.rig import rig_template
from dpedkit.train import load_recipe, recipe_names
from importlib.resources import files
print(rig_template("tripod") != rig_template("simulated"), [load_recipe(n).name for n in recipe_names()])
pages = {file.name for file in files("dpedkit.stages").iterdir()}
print(pages >= {"report.html", "align_pair.html", "align_index.html", "align_report.css", "align_report.js"})
print(files("dpedkit").joinpath("py.typed").is_file())
"""
    assert (
        python("-c", code)
        == "True ['csrnet', 'dped', 'dped-paper', 'johnson', 'nafnet', 'small', 'srcnn']\nTrue\nTrue\n"
    )


def test_the_command_works(installed: Path, python: Run, tmp_path: Path) -> None:
    assert python("--version", program="dpedkit") == python("-m", "dpedkit", "--version")
    python("init", "ws", "--rig", "simulated", program="dpedkit")  # runs the migrations, too
    assert (tmp_path / "ws" / "corpus.db").is_file()
    findings = json.loads(python("-C", "ws", "doctor", "--json", program="dpedkit"))
    assert {finding["topic"] for finding in findings} >= {"dpedkit", "workspace", "corpus", "rig tripod"}
    assert str(installed) in next(finding["found"] for finding in findings if finding["topic"] == "python")
