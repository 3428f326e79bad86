"""`dpedkit serve` under load: eight visitors send 25 photos each, all at once, and fetch every result.

Photos have about 0.5 MP; the network is as narrow as the recipe `small`. A photo is lost if its result does not come,
or is not of its own picture: every photo has a width of its own, and a level. Memory is the peak of each process
(VmHWM): the server, the two that decode, the one that enhances. There is no baseline: no other server takes these.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import torch
from command_line import CommandLine
from measure import Figure, Findings
from page_server import started
from PIL import Image

from dpedkit.images import encode_jpeg
from dpedkit.train.networks import Generator
from dpedkit.train.networks.dped import start_from_photo
from dpedkit.train.weights import save_generator
from dpedkit.types import U8
from dpedkit.workspace import create_workspace

VISITORS, EACH = 8, 25
HEIGHT, WIDTHS = 612, range(716, 916)
NEAR = 15  # levels; the network returns nearly what it is given


def run() -> Findings:
    """Serve a model, and let everybody in."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = create_workspace(folder / "ws", {}).root
        _write_model(root / "runs" / "plain")
        with started(CommandLine(folder), root, command="serve") as (server, address):
            began_s = time.perf_counter()
            with ThreadPoolExecutor(VISITORS) as pool:
                waits = [
                    wait for waits in pool.map(lambda who: _visit(address, who), range(VISITORS)) for wait in waits
                ]
            took_s = time.perf_counter() - began_s
            peaks = _peaks_mb(server)
            server.send_signal(2)
            server.communicate()
        left = sum(1 for _ in (root / ".serve").rglob("*")) if (root / ".serve").exists() else 0
    return Findings(
        [
            Figure("photos lost, of 200", [float(VISITORS * EACH - len(waits))], target="<= 0"),
            Figure("files left on the disk after the end", [float(left)], target="<= 0"),
            Figure("the server's peak memory", [peaks[0]], "MB"),
            Figure("the decoding processes' peak memory", peaks[2:], "MB"),
            Figure("the enhancing process's peak memory", [peaks[1]], "MB", target="<= 1200"),
            Figure("from a photo's first byte to its result", waits, "s"),
            Figure("all 200", [took_s], "s"),
        ]
    )


def _visit(address: str, who: int) -> list[float]:
    """Send all photos, then fetch each as it is done; return how long each took, s, of those that came right."""
    with httpx.Client(base_url=address, timeout=600) as client:
        sent: dict[str, tuple[U8, float]] = {}
        for at in range(EACH):
            number = who * EACH + at
            picture = np.full((HEIGHT, WIDTHS[number], 3), 60 + number % 140, np.uint8)
            began_s = time.perf_counter()
            answer = client.post("/api/photos?name=p.jpg&model=plain", content=encode_jpeg(picture))
            answer.raise_for_status()
            sent[answer.json()["id"]] = (picture, began_s)
        waits = []
        while sent:
            for photo in client.get("/api/photos").json():
                if photo["id"] in sent and photo["state"] in ("done", "failed", "cancelled"):
                    picture, began_s = sent.pop(photo["id"])
                    result = client.get(f"/photos/{photo['id']}/result")
                    if result.is_success and _is_of(result.content, picture):
                        waits.append(time.perf_counter() - began_s)
            time.sleep(0.2)
        return waits


def _is_of(data: bytes, picture: U8) -> bool:
    result = np.asarray(Image.open(io.BytesIO(data)))
    return result.shape == picture.shape and abs(float(result.mean()) - float(picture.mean())) < NEAR


def _write_model(folder: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    generator = Generator(width=32, blocks=1, rng=rng)
    start_from_photo(generator, rng)
    folder.mkdir()
    save_generator(folder / "best.safetensors", generator, {})


def _peaks_mb(server: subprocess.Popen[str]) -> list[float]:
    """Return VmHWM of the server, and of its workers, the largest first."""
    workers = psutil.Process(server.pid).children(recursive=True)
    peaks = sorted((_peak_mb(worker.pid) for worker in workers), reverse=True)
    return [_peak_mb(server.pid), *(peak for peak in peaks if peak > 50)]  # the rest only keep semaphores


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM")), 0.0)
