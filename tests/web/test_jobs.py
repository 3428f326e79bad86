"""The folders of photos that visitors send."""

from __future__ import annotations

import threading
from pathlib import Path

from dpedkit.stages.enhance_jobs import delete_folder


def test_a_folder_goes_while_a_worker_still_writes_into_it(tmp_path: Path) -> None:
    for number in range(50):
        folder = tmp_path / str(number)
        folder.mkdir()
        begun, ended = threading.Event(), threading.Event()

        def write(folder: Path = folder, begun: threading.Event = begun, ended: threading.Event = ended) -> None:
            for name in range(100_000):
                if ended.is_set():
                    return
                try:
                    (folder / f"{name}.part").touch()
                except FileNotFoundError:
                    return
                begun.set()

        worker = threading.Thread(target=write)
        worker.start()
        begun.wait()
        delete_folder(folder)
        ended.set()
        worker.join()
        assert not list(tmp_path.iterdir())
