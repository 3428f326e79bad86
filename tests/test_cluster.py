"""What can be wrong with a cluster is told in a line of cause and a line of remedy, before any work is done."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_cluster import DaskCluster
from worker_functions import square

import dpedkit
from dpedkit.errors import ClusterError, DpedError, UsageError
from dpedkit.executor import Workers, run_parallel

OTHER_NUMPY = """
import importlib.metadata
real = importlib.metadata.version
importlib.metadata.version = lambda name: "1.0" if name == "numpy" else real(name)
"""
NO_DPEDKIT = """
import sys
sys.modules["dpedkit"] = None
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    started = DaskCluster(folder)
    yield started
    started.close()


def complaint(address: str, folder: Path | None = None) -> DpedError:
    """Return what a run on a cluster ends with."""
    with pytest.raises(DpedError) as caught:
        list(run_parallel(square, range(3), workers=Workers(cluster=address, patience_s=60), folder=folder))
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("address", ["head:8786", "tcp://head", "tcp://:8786", "udp://head:8786", "tcp://head:port"])
def test_what_is_no_address_is_wrong_usage(address: str) -> None:
    error = complaint(address)
    assert isinstance(error, UsageError)
    assert repr(address) in error.cause
    assert "tcp://HOST:8786" in error.remedy


def test_where_no_scheduler_is_the_remedy_shows_how_to_start_one() -> None:
    with socket.socket() as taken:  # a port that is ours, and where nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        error = complaint(address)
    assert isinstance(error, ClusterError)
    assert error.cause == f"no Dask scheduler answers at {address}"
    assert f"dask worker {address}" in error.remedy


def test_a_cluster_without_workers_is_waited_for_and_then_given_up(cluster: DaskCluster) -> None:
    said: list[str] = []
    workers = Workers(cluster=cluster.address, patience_s=1)
    with pytest.raises(ClusterError) as caught:
        list(run_parallel(square, range(3), workers=workers, say=said.append))
    assert said == [f"{cluster.address} has no workers yet: waiting up to 1 s for one"]
    assert caught.value.cause == f"{cluster.address} has had no workers for 1 s"
    assert f"dask worker {cluster.address}" in caught.value.remedy


def test_a_lost_scheduler_is_told(cluster: DaskCluster) -> None:
    cluster.start_worker()
    outcomes = run_parallel(square, range(10_000), workers=Workers(cluster=cluster.address))
    assert next(outcomes).value == 0
    cluster.scheduler.kill()
    with pytest.raises(ClusterError) as caught:
        list(outcomes)
    assert caught.value.cause == f"the Dask scheduler at {cluster.address} is gone"
    assert "run the same command" in caught.value.remedy


def test_nothing_to_do_needs_no_cluster() -> None:
    assert list(run_parallel(square, [], workers=Workers(cluster="tcp://127.0.0.1:9"))) == []


@pytest.mark.parametrize(
    ("startup", "wrong"),
    [(OTHER_NUMPY, "has numpy 1.0, this command has "), (NO_DPEDKIT, "has no dpedkit, or another one")],
)
def test_a_foreign_worker_is_named(cluster: DaskCluster, tmp_path: Path, startup: str, wrong: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(startup)
    cluster.start_worker(env={"PYTHONPATH": str(tmp_path)})
    error = complaint(cluster.address)
    assert error.cause.startswith("worker tcp://127.0.0.1:")
    assert wrong in error.cause
    assert "same Python, dpedkit and packages" in error.remedy


def test_a_worker_with_other_code_of_the_same_version_is_named(cluster: DaskCluster, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(Path(dpedkit.__file__).parent, tmp_path / "dpedkit"))
    worker = cluster.start_worker(env={"PYTHONPATH": str(tmp_path)})
    assert len(list(run_parallel(square, range(3), workers=Workers(cluster=cluster.address)))) == 3
    worker.kill()
    with (copy / "images.py").open("a") as module:
        module.write("# a line more\n")
    cluster.start_worker(env={"PYTHONPATH": str(tmp_path)})
    assert "has dpedkit's code " in complaint(cluster.address).cause


def test_a_foreign_worker_that_comes_later_is_named_too(cluster: DaskCluster, tmp_path: Path) -> None:
    cluster.start_worker()
    outcomes = run_parallel(square, itertools.count(), workers=Workers(cluster=cluster.address))
    assert next(outcomes).value == 0
    (tmp_path / "sitecustomize.py").write_text(OTHER_NUMPY)
    cluster.start_worker(env={"PYTHONPATH": str(tmp_path)})
    with pytest.raises(ClusterError, match=r"has numpy 1\.0, this command has "):
        deque(outcomes, maxlen=0)


def test_a_worker_that_does_not_see_the_folder_is_named(cluster: DaskCluster, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    other = f'mount -t tmpfs none "{folder}" && exec "$@"'  # a file system of its own over the workspace
    within = ("unshare", "--mount", "sh", "-c", other, "sh")
    if not shutil.which("unshare") or subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root may give a process a file system of its own")
    cluster.start_worker(within=within)
    error = complaint(cluster.address, folder)
    assert f"does not see the folder {folder}" in error.cause
    assert f"share {folder} under the same path" in error.remedy
    assert list(folder.iterdir()) == []
