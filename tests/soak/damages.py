"""One flipped bit, deleted file or cut end somewhere in a workspace: fsck names it, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

from dpedkit.executor import Workers
from dpedkit.progress import Silent
from dpedkit.stages.checking import check_files
from dpedkit.workspace import find_workspace

HOW = ("flip", "delete", "cut")


def damage_and_find(root: Path, seed: int) -> str:
    """Damage one file of a sound workspace, look, and put it back; return what happened in a few words."""
    draw = random.Random(seed)
    files = sorted(path for name in ("photos", "patches") for path in (root / name).rglob("*.[jn]p[gy]"))
    path, how = draw.choice(files), draw.choice(HOW)
    whole = path.read_bytes()
    if how == "flip":
        at, bit = draw.randrange(len(whole)), draw.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    elif how == "cut":
        path.write_bytes(whole[: draw.randrange(len(whole))])
    else:
        path.unlink()
    report = check_files(find_workspace(root), quick=False, repair=False, workers=Workers(1), progress=Silent())
    path.write_bytes(whole)
    name = path.relative_to(root).as_posix()
    assert [fault.what for fault in report.damage] == [name], (how, name, report.faults)
    return f"{how} {name}: {report.damage[0].kind}"
