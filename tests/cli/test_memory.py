"""A photo that needs more memory than a worker may take fails by itself; nothing is killed for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from PIL import Image

from dpedkit.executor import processors

Stages = Callable[[str], Path]

GROUP_BYTES = 1_200_000_000
HUGE_PX = (17_000, 10_400)  # 0.53 GB, and the decoder has as much again: more than a worker of this machine may take


@pytest.fixture
def small_machine() -> Iterator[Callable[[], None]]:
    """Return what puts a new process into a control group that has 1.2 GB; the kernel kills what takes more."""
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"dpedkit-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limit).exists():
            break
        group.rmdir()
    else:
        pytest.skip("only root may make a control group for memory, and not in every container")
    (group / limit).write_text(str(GROUP_BYTES))
    yield lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None
    group.rmdir()


def two_pairs(cli: CommandLine, captured: Path, ws: Path) -> None:
    """Make a workspace with two pairs, of which the first has a phone's photo of 177 megapixels: the limit is 178."""
    cli.run("init", ws, cwd=captured)
    (session,) = (captured / "photos").iterdir()
    folders = ws / "imported"
    for name in ("dslr", "sony"):
        (folders / name).mkdir(parents=True)
        for number in (1, 2):
            (folders / name / f"{number}.jpg").write_bytes((session / f"{number:04d}_{name}.jpg").read_bytes())
    huge = folders / "sony" / "1.jpg"
    Image.open(huge).resize(HUGE_PX, Image.Resampling.NEAREST).save(huge, quality=50)
    cli.run(
        "import", "folder", "--pair-by", "name", "--dslr", f"{folders}/dslr", "--phone", f"sony={folders}/sony", cwd=ws
    )


def test_a_huge_photo_fails_by_itself(
    cli: CommandLine, finished: Stages, tmp_path: Path, small_machine: Callable[[], None]
) -> None:
    two_pairs(cli, finished("captured"), tmp_path / "ws")
    done = cli.run("align", cwd=tmp_path / "ws", code=3, preexec_fn=small_machine)
    assert f"GB of memory are free: 1 of {processors()} processors will work" in done.stderr or processors() == 1
    failed, summary = (line for line in done.stdout.splitlines() if "failed" in line)
    assert summary == "1 aligned, 0 rejected, 1 failed, 0 done before"
    assert "0001_sony.jpg: needs more memory than the " in failed
    assert "MB that its worker may take" in failed
    error = cli.error("align", "--jobs", 9, cwd=tmp_path / "ws", code=2, preexec_fn=small_machine)
    assert "9 worker processes would have " in error
    assert "use --jobs 3" in error
    assert list(cli.json("status", cwd=tmp_path / "ws")["refused"].values()) == ["out_of_memory"]
    (again,) = cli.json("align", "--dry-run", cwd=tmp_path / "ws")["results"]  # on a larger machine, say
    assert again["pair"].endswith("0001 sony")
