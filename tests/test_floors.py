"""The house stands as docs/architecture.md says: floors, owners of heavy packages, package list, a light --help."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("align", "capture", "db", "train")
GROUND = (
    "errors",
    "types",
    "files",
    "exif",
    "images",
    "photo_writing",
    "measures",
    "pair_measures",
    "profiles",
    "stripping",
    "wholeness",
    "raw",
    "settings",
    "workspace",
    "memory",
    "executor",
    "cluster",
    "remote",
    "progress",
)

# package -> where it may be imported, as prefixes of module names
OWNERS = {
    "click": ("dpedkit.cli",),
    "rich": ("dpedkit.cli",),
    "sqlalchemy": ("dpedkit.db",),
    "alembic": ("dpedkit.db",),
    "pandas": ("dpedkit.db", "dpedkit.stages"),
    "torch": ("dpedkit.train", "dpedkit.stages.demo"),
    "safetensors": ("dpedkit.train",),
    "onnx": ("dpedkit.train.onnx_export", "dpedkit.train.inference.onnx_layers"),
    "onnxruntime": ("dpedkit.train.onnx_export", "dpedkit.train.inference.onnx_layers"),
    "onnxscript": ("dpedkit.train.onnx_export",),
    "openvino": ("dpedkit.train.inference.openvino_layers",),
    "cv2": (
        "dpedkit.align",
        "dpedkit.images",
        "dpedkit.measures",
        "dpedkit.pair_measures",
        "dpedkit.capture.simulate",
        "dpedkit.capture.clock_board",
        "dpedkit.remote",
    ),
    "gphoto2": ("dpedkit.capture.drivers.gphoto2",),
    "adb_shell": ("dpedkit.capture.drivers.adb", "dpedkit.capture.simulate.adb"),
    "pebble": ("dpedkit.executor",),
    "distributed": ("dpedkit.cluster", "dpedkit.remote"),
    "dask": ("dpedkit.cluster",),
    "threadpoolctl": ("dpedkit.remote", "dpedkit.align.threads"),
    "matplotlib": ("dpedkit.stages.charts", "dpedkit.stages.figure.drawing"),
    "jinja2": ("dpedkit.stages.templates",),
    "imagehash": ("dpedkit.measures",),
    "rawpy": ("dpedkit.raw",),
    "starlette": ("dpedkit.web",),
    "uvicorn": ("dpedkit.web",),
}
HEAVY = (
    "numpy",
    "torch",
    "onnx",
    "openvino",
    "cv2",
    "sqlalchemy",
    "pandas",
    "gphoto2",
    "adb_shell",
    "rich",
    "pydantic",
    "matplotlib",
    "PIL",
    "rawpy",
    "starlette",
)


def modules() -> dict[str, Path]:
    """Every module of the package: name -> file."""
    found = {}
    for top in ("dpedkit", *ROOMS):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts if top == "dpedkit" else ("dpedkit", *parts))
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, module: str) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(module: str) -> str:
    """ground, a room's name, stages, web or cli."""
    part = module.split(".")[1] if "." in module else ""
    return "ground" if part in GROUND or not part else part


def test_no_floor_rests_on_a_higher_one_and_no_room_on_another() -> None:
    allowed = {
        "ground": {"ground"},
        "stages": {"ground", "stages", *ROOMS},
        **{room: {"ground", room} for room in ROOMS},
    }
    allowed["web"] = {"ground", "stages", "web", "db"}
    allowed["cli"] = {"ground", "stages", "web", "cli", *ROOMS}
    allowed["__main__"] = {"cli"}
    wrong = [
        f"{module} imports {target}"
        for module, path in modules().items()
        for target in imports(path, module)
        if target.startswith("dpedkit.") and floor_of(target) not in allowed[floor_of(module)]
    ]
    assert wrong == []


def test_each_heavy_package_has_its_owners() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, path in modules().items()
        for target in imports(path, module)
        if (owners := OWNERS.get(target.split(".")[0])) and not module.startswith(owners)
    ]
    assert wrong == []


def test_every_module_of_the_ground_floor_is_listed() -> None:
    here = {path.stem for path in (ROOT / "dpedkit").glob("*.py")} - {"__init__", "__main__"}
    assert here <= set(GROUND)


def test_the_package_list_is_the_tree() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {name for name, path in modules().items() if path.name == "__init__.py"}
    without = {str(path.parent) for path in modules().values() if not (path.parent / "__init__.py").exists()}
    assert sorted(listed) == sorted(folders)
    assert without == set()


def test_files_stay_small() -> None:
    long = {
        module: lines
        for module, path in modules().items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 320
    }
    assert long == {}


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, dpedkit.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
