"""align and build-patches on a Dask cluster: what is kept is what this machine's processes make, bit for bit."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import BEHIND, CommandLine, wait_until
from corpus_facts import facts, rows_done
from dask_cluster import DaskCluster
from distributed import Client, LocalCluster

Stages = Callable[[str], Path]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    (tmp_path / "cluster").mkdir()
    started = DaskCluster(tmp_path / "cluster")
    yield started
    started.close()


def lose_a_worker(
    cli: CommandLine, root: Path, words: tuple[object, ...], stage: str, worker: subprocess.Popen[bytes]
) -> str:
    """Run a command to its end, and kill a worker in the midst of it; return what it printed on stderr."""
    enough = rows_done(root, stage) + 2
    with cli.start(*words, cwd=root, within=BEHIND) as process:
        wait_until(lambda: rows_done(root, stage) >= enough or process.poll() is not None)
        worker.kill()
        assert rows_done(root, stage) < 12
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, (stdout, stderr)
    return stderr


def test_two_workers_of_which_one_is_killed_give_what_one_machine_gives(
    cli: CommandLine, workspace: Stages, finished: Stages, cluster: DaskCluster
) -> None:
    root = workspace("captured")
    first, second = (cluster.start_worker(within=BEHIND) for _ in range(2))
    words = ("align", "--cluster", cluster.address)
    stopped = cli.stop_when(lambda: rows_done(root, "align") >= 1, signal.SIGINT, *words, cwd=root, group=True)
    assert stopped.returncode == 130
    assert stopped.stderr.splitlines()[-2] == "error: stopped"
    with Client(cluster.address, set_as_default=False) as client:
        wait_until(lambda: not any(client.processing().values()))  # nobody works on for the command that was stopped
        assert len(client.nthreads()) == 2
    stderr = lose_a_worker(cli, root, words, "align", first)
    assert {line.partition(":")[0] for line in stderr.splitlines()} == {"align"}  # nothing but progress
    assert repr(facts(root)) == repr(facts(finished("aligned")))
    cluster.start_worker(within=BEHIND)
    lose_a_worker(cli, root, ("build-patches", "--cluster", cluster.address), "build-patches", second)
    assert repr(facts(root)) == repr(facts(finished("patched")))


def test_a_local_cluster_whose_tasks_share_a_process_gives_the_same(
    cli: CommandLine, workspace: Stages, finished: Stages, tmp_path: Path
) -> None:
    root = workspace("aligned")
    with LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=None, local_directory=tmp_path, silence_logs=50
    ) as local:
        settings = root / "dpedkit.toml"
        settings.write_text(f'cluster = "{local.scheduler_address}"\n' + settings.read_text())
        report = cli.json("align", "--compare-modes", "--limit", 1, cwd=root)
        assert [row["aligned"] for row in report["rows"]] == [1, 1]
        report = cli.json("build-patches", cwd=root)
    assert report["pairs"] == 12
    assert repr(facts(root)) == repr(facts(finished("patched")))
    address = local.scheduler_address
    assert address in cli.error("build-patches", "--size", 64, cwd=root, code=1)  # it is down by now
    cli.json("align", "--compare-modes", "--limit", 1, "--jobs", 1, cwd=root)  # what is typed goes before the settings


def test_jobs_and_a_cluster_together_are_wrong_usage(cli: CommandLine, finished: Stages) -> None:
    for command in ("align", "build-patches"):
        words = (command, "--jobs", 2, "--cluster", "tcp://head:8786")
        assert "--jobs is for this machine" in cli.error(*words, cwd=finished("captured"), code=2)
