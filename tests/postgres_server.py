"""A real PostgreSQL server for tests: a cluster of its own in a temporary folder, on a free port of this machine."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

NewDatabase = Callable[[], str]
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")  # the cluster does not outlive the tests


def program(name: str) -> Path | None:
    """Return a program of the server; Debian keeps them off the PATH, a folder for each version."""
    found = shutil.which(name)
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return Path(found) if found else debian[-1] if debian else None


@contextmanager
def running_server() -> Iterator[NewDatabase]:
    """Start a server and yield what makes a new, empty database in it and returns its SQLAlchemy URL.

    It refuses to run as root, so that root starts it as the user `postgres` that comes with Debian's package.
    """
    owner = pwd.getpwnam("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    folder = Path(tempfile.mkdtemp(prefix="dpedkit-postgres-", dir="/tmp"))  # short: a socket's path may have 107 bytes
    os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(name: str, *words: str) -> None:
        command = [str(program(name)), "-D", str(folder / "data"), *words]
        as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **as_owner)
        log = (folder / "log").read_text() if done.returncode and (folder / "log").exists() else ""
        assert done.returncode == 0, (command, done.stdout, done.stderr, log)

    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} " + " ".join(f"-c {setting}" for setting in _FAST)
    try:
        locale = ("--locale", "C", "--locale-provider", "icu", "--icu-locale", "en-US")  # sorts unlike SQLite
        run("initdb", "-U", "dpedkit", "--auth", "trust", "--encoding", "UTF8", *locale, "--no-sync")
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        numbers = itertools.count()

        def new_database() -> str:
            name = f"corpus_{next(numbers)}"
            with psycopg.connect(f"postgresql://dpedkit@127.0.0.1:{port}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return f"postgresql+psycopg://dpedkit@127.0.0.1:{port}/{name}"

        try:
            yield new_database
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
