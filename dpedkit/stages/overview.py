"""What a workspace holds, and what this machine has."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from dpedkit.db import Counts, open_corpus
from dpedkit.errors import DpedError, MissingExtra, NoWorkspace
from dpedkit.executor import processors
from dpedkit.stages.frames import rows
from dpedkit.stages.study.states import StudyState, study_states
from dpedkit.workspace import Workspace, find_workspace


@dataclass(frozen=True, slots=True)
class Status:
    """A workspace at a glance; incomplete shots and refused pairs each with the reason; runs with their status.

    stamps  finished runs that something must be said of, and what: see train/stamp.py
    models  what `dpedkit import-weights` has brought in
    studies preference studies, and how far each is
    """

    root: str
    counts: Counts
    incomplete: dict[str, str]
    refused: dict[str, str]
    runs: dict[str, str]
    stamps: dict[str, str]
    models: list[str]
    studies: dict[str, StudyState]
    next_step: str


def status(workspace: Workspace) -> Status:
    """Count everything in the workspace and name what needs attention."""
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        counts = corpus.counts()
        shots, pairs, runs = corpus.shots(), corpus.pairs(), corpus.runs()
    incomplete = shots[shots["status"] == "incomplete"]
    refused = pairs[pairs["status"].isin(["rejected", "failed"])]
    return Status(
        root=str(workspace.root),
        counts=counts,
        incomplete={row.shot: row.reason for row in rows(incomplete)},
        refused={f"{row.shot} {row.phone}": row.reason for row in rows(refused)},
        runs={row.run: row.status for row in rows(runs)},
        stamps={row.run: said for row in rows(runs) if (said := row.config.get("stamp"))},
        models=workspace.imported_models(set(runs["run"])),
        studies=study_states(workspace.studies),
        next_step="dpedkit capture --resume" if _has_unfinished(shots) else _next_step(counts, runs),
    )


def _has_unfinished(shots: pd.DataFrame) -> bool:
    """Whether a shot of a rig lacks a photo and was not fired again with success."""
    mended = shots[shots["status"] == "complete"]["retry_of"]
    lacking = (shots["status"] == "incomplete") & ~shots["shot"].isin(mended) & shots["scheduled_ns"].notna()
    return bool(lacking.any())


def _next_step(counts: Counts, runs: pd.DataFrame) -> str:
    if not counts.shots:
        return "dpedkit capture, or dpedkit import folder"
    if counts.pairs.get("new"):
        return "dpedkit align"
    if not counts.patches:
        return "dpedkit build-patches"
    if (runs["status"] == "done").any():
        return "dpedkit evaluate"
    unfinished = runs[runs["status"] == "stopped"]
    if len(unfinished):
        return f"dpedkit train --phone {unfinished['phone'].iloc[-1]} --recipe {unfinished['recipe'].iloc[-1]} --resume"
    return "dpedkit review, or dpedkit train --phone NAME"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `dpedkit doctor`.

    level   "ok", "note" (something optional is missing) or "problem"
    remedy  what to do; "" where all is well
    """

    topic: str
    level: Literal["ok", "note", "problem"]
    found: str
    remedy: str = ""


EXTRAS = {  # module -> (distribution, extra, what it is for)
    "gphoto2": ("gphoto2", "capture", "firing a DSLR"),
    "adb_shell": ("adb-shell", "capture", "firing phones"),
    "torch": ("torch", "train", "training and enhancing"),
    "safetensors": ("safetensors", "train", "checkpoints"),
    "matplotlib": ("matplotlib", "train", "curves in reports"),
    "onnx": ("onnx", "onnx", "exporting models"),
    "onnxruntime": ("onnxruntime", "onnx", "checking what was exported, and enhancing"),
    "onnxscript": ("onnxscript", "onnx", "exporting models"),
    "openvino": ("openvino", "openvino", "enhancing"),
    "tensorboard": ("tensorboard", "tensorboard", "event files of training runs"),
    "pillow_heif": ("pillow-heif", "heic", "HEIC photos"),
    "rawpy": ("rawpy", "raw", "RAW photos"),
    "starlette": ("starlette", "web", "the pages of serve, review and study"),
    "choix": ("choix", "study", "scores of preference studies"),
    "distributed": ("distributed", "cluster", "work on many machines"),
    "psycopg": ("psycopg", "postgres", "an index on a PostgreSQL server"),
}
CORE = ("numpy", "scipy", "opencv-python-headless", "pillow", "sqlalchemy", "pandas", "pydantic", "click", "rich")


def missing_extra(error: ModuleNotFoundError) -> MissingExtra | None:
    """Return what an import that failed lacks, if it is one of EXTRAS."""
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS:
        return None
    distribution, extra, _ = EXTRAS[module]
    return MissingExtra(distribution, extra)


def doctor(folder: Path, *, fix: bool = False) -> list[Finding]:
    """Look at the machine and, where there is one, the workspace that `folder` lies in.

    fix  whether to stop what holds cameras and phones on USB, where that is safe
    """
    findings = [
        Finding("system", "ok", f"{platform.system()} {platform.release()} {platform.machine()}"),
        Finding("python", "ok", f"{platform.python_version()} at {sys.executable}"),
        Finding("dpedkit", "ok", importlib.metadata.version("dpedkit")),
        *(_package(name, "", "") for name in CORE),
        *(_extra(module) for module in EXTRAS),
        _compute(),
    ]
    keys = None
    try:
        workspace = find_workspace(folder)
        keys = workspace.keys
        findings += workspace_findings(workspace)
    except NoWorkspace as error:
        findings.append(Finding("workspace", "note", error.cause, error.remedy))
    except DpedError as error:
        findings.append(Finding("workspace", "problem", error.cause, error.remedy))
    return findings + _usb(keys, fix)


def _package(name: str, extra: str, purpose: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        if extra:
            return Finding(name, "note", f"not installed; needed for {purpose}", f"pip install 'dpedkit[{extra}]'")
        return Finding(name, "problem", "not installed", "pip install --force-reinstall dpedkit")


def _extra(module: str) -> Finding:
    distribution, extra, purpose = EXTRAS[module]
    found = _package(distribution, extra, purpose)
    if found.level == "ok" and importlib.util.find_spec(module) is None:
        return Finding(
            distribution,
            "problem",
            "installed, but cannot be imported",
            f"pip install --force-reinstall {distribution}",
        )
    return found


def _compute() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("training device", "note", "no torch", "pip install 'dpedkit[train]'")
    from dpedkit.train.device import pick_device

    return Finding("training device", "ok", f"{pick_device('auto')}, {processors()} processors")


def _usb(keys: Path | None, fix: bool) -> list[Finding]:
    if sys.platform not in ("linux", "darwin"):
        return []  # libgphoto2 runs on no other system
    from dpedkit.capture.usb import Machine
    from dpedkit.stages.usb import usb_findings

    return usb_findings(Machine(), keys, fix=fix)


def workspace_findings(workspace: Workspace) -> list[Finding]:
    """Look at a workspace: its disk, its rigs, its corpus."""
    from dpedkit.capture.rig import load_rig

    free = shutil.disk_usage(workspace.root).free
    enough = free > 1e9
    findings = [
        Finding("workspace", "ok", str(workspace.root)),
        Finding(
            "free space", "ok" if enough else "problem", f"{free / 1e9:.1f} GB", "" if enough else "free some space"
        ),
    ]
    for path in sorted((workspace.root / "rigs").glob("*.toml")):
        try:
            rig = load_rig(path)
            findings.append(Finding(f"rig {path.stem}", "ok", ", ".join(device.name for device in rig.devices)))
        except DpedError as error:
            findings.append(Finding(f"rig {path.stem}", "problem", error.cause, error.remedy))
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        counts, broken = corpus.counts(), corpus.broken_shards()
    findings.append(Finding("corpus", "ok", f"{counts.shots} shots, {counts.kept_patches} patches"))
    findings += [Finding("shard", "problem", cause, "dpedkit build-patches") for cause in broken.values()]
    return findings
