"""What `dpedkit serve` takes from visitors, and what it refuses: over HTTP, as a script or an attacker would ask."""

from __future__ import annotations

import io
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from command_line import CommandLine, wait_until
from page_server import serving, started
from PIL import Image
from study_plans import make_plan
from study_subjects import write_study

from dpedkit.errors import QueueFull
from dpedkit.exif import read_facts
from dpedkit.images import encode_jpeg, read_photo
from dpedkit.stages.enhance_jobs import Job, Limits, in_turn
from dpedkit.stages.enhance_queue import Queue
from dpedkit.stages.uploads import Upload
from dpedkit.train import enhance, load_generator

PHOTO = encode_jpeg(np.full((60, 80, 3), 100, np.uint8))


class Visitor:
    """A browser, as far as cookies go."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=address, timeout=120)

    def send(self, data: bytes, name: str = "photo.jpg", model: str = "brighter", **more: str) -> httpx.Response:
        return self.client.post("/api/photos", params={"name": name, "model": model, **more}, content=data)

    def photos(self) -> dict[str, Any]:
        return {one["id"]: one for one in self.client.get("/api/photos").json()}

    def wait(self, which: str, *states: str) -> dict[str, Any]:
        wait_until(lambda: self.photos()[which]["state"] in states)
        found: dict[str, Any] = self.photos()[which]
        return found

    def act(self, which: str, act: str) -> int:
        return self.client.post(f"/api/photos/{which}/{act}", json={}).status_code

    def get(self, which: str, what: str = "result") -> httpx.Response:
        return self.client.get(f"/photos/{which}/{what}")


@pytest.fixture
def visit(site: str) -> Iterator[Callable[..., Visitor]]:
    """Make visitors, of the site or of another address."""
    came: list[Visitor] = []

    def come(address: str = site) -> Visitor:
        came.append(Visitor(address))
        return came[-1]

    yield come
    for one in came:
        one.client.close()


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    return visit()


def jpeg_with_exif(orientation: int) -> bytes:
    """80 x 40 px as stored, its left half dark; with a place."""
    rgb = np.full((40, 80, 3), 120, np.uint8)
    rgb[:, :40] = 40
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = orientation, "Pixel 9"
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 0.0), 3: "E", 4: (8.0, 33.0, 0.0)})
    return encode_jpeg(rgb, exif=exif.tobytes())


def test_a_photo_is_enhanced_and_stays_the_visitors(visitor: Visitor, models: Path, tmp_path: Path) -> None:
    told = visitor.send(jpeg_with_exif(6), name="holiday.jpg").json()
    assert (told["name"], told["size"], told["model"]) == ("holiday.jpg", [40, 80], "brighter")
    assert visitor.wait(told["id"], "done")["share"] == 1
    answer = visitor.get(told["id"])
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''holiday-enhanced.jpg"
    (tmp_path / "result.jpg").write_bytes(answer.content)
    result = read_photo(tmp_path / "result.jpg")
    assert result.rgb.shape == (80, 40, 3)
    upright = np.rot90(np.asarray(Image.open(io.BytesIO(jpeg_with_exif(6)))), -1)
    expected = enhance(load_generator(models / "runs" / "brighter"), np.ascontiguousarray(upright)).astype(int)
    coarse = 6  # levels: a JPEG as coarse as it came loses some of the network's noise
    assert expected.mean() - upright.mean() > 3 * coarse
    assert np.abs(result.rgb - expected).mean() < coarse
    assert result.meta.model == "Pixel 9"
    assert result.meta.latitude == pytest.approx(47.367, abs=1e-3)
    for what, level in (("before", upright), ("after", expected), ("before-fit", upright), ("after-fit", expected)):
        picture = Image.open(io.BytesIO(visitor.get(told["id"], what).content))
        assert picture.size == (40, 80)
        assert np.abs(np.asarray(picture) - level.astype(int)).mean() < coarse
        assert read_facts(picture).model == ""  # what is for the page alone tells nothing


def test_the_place_is_left_out_when_asked(visitor: Visitor, tmp_path: Path) -> None:
    which = visitor.send(jpeg_with_exif(1), place="strip").json()["id"]
    visitor.wait(which, "done")
    (tmp_path / "result.jpg").write_bytes(visitor.get(which).content)
    meta = read_photo(tmp_path / "result.jpg").meta
    assert (meta.latitude, meta.model) == (None, "Pixel 9")


def test_what_a_model_is_worth_stands_beside_its_result(visitor: Visitor) -> None:
    models = {one["name"]: one for one in visitor.client.get("/api/models").json()}
    assert models["brighter"]["stamp"] == ""
    assert models["darker"]["stamp"] == "not for results: trained with random:0"
    which = visitor.send(PHOTO, model="darker").json()["id"]
    assert visitor.wait(which, "done")["stamp"] == "not for results: trained with random:0"
    assert (
        Image.open(io.BytesIO(visitor.get(which).content)).info["comment"] == b"not for results: trained with random:0"
    )
    assert visitor.send(PHOTO, model="../../etc").status_code == 400
    assert visitor.send(PHOTO, model="").status_code == 400


def test_nobody_sees_what_others_sent(visitor: Visitor, visit: Callable[..., Visitor]) -> None:
    which = visitor.send(PHOTO).json()["id"]
    visitor.wait(which, "done")
    other = visit()
    assert other.photos() == {}
    assert other.get(which).status_code == 404
    assert other.act(which, "cancel") == other.act(which, "remove") == 404
    assert visitor.get(which).status_code == 200


def test_a_photo_that_waits_can_be_called_off_and_any_be_removed(visitor: Visitor) -> None:
    large = encode_jpeg(np.random.default_rng(0).integers(0, 256, (900, 1100, 3), np.uint8), quality=80)
    first, second = (visitor.send(large).json()["id"] for _ in range(2))
    assert visitor.act(second, "cancel") == 200
    assert visitor.wait(second, "cancelled")["share"] == 0
    visitor.wait(first, "working", "done")
    assert visitor.act(first, "cancel") == 200
    assert visitor.wait(first, "cancelled", "done")
    third = visitor.send(PHOTO).json()["id"]  # whoever worked on the first was ended, and another one goes on
    visitor.wait(third, "done")
    for which in (first, second, third):
        assert visitor.act(which, "remove") == 200
        assert visitor.get(which).status_code == 404
        assert visitor.act(which, "remove") == 404
    assert visitor.photos() == {}
    assert visitor.act("x", "explode") == 404


def test_who_sends_many_keeps_nobody_waiting(visitor: Visitor, visit: Callable[..., Visitor]) -> None:
    many = encode_jpeg(np.random.default_rng(0).integers(0, 256, (700, 1000, 3), np.uint8), quality=80)
    sent = [visitor.send(many).json()["id"] for _ in range(8)]
    other = visit()
    assert other.send(PHOTO).json()["before"] <= 1
    assert max(one["before"] for one in visitor.photos().values()) >= 3
    for which in sent:
        visitor.act(which, "remove")


def test_turns_go_round() -> None:
    jobs = [
        Job(f"{who}{at}", who, Upload(Path(), "", 1), "")
        for at in (1, 2, 3)
        for who in "abc"
        if at <= "_cba".index(who)
    ]
    assert [job.id for job in in_turn(jobs, ["b", "c", "a"])] == ["b1", "c1", "a1", "b2", "a2", "a3"]


REFUSED: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "nothing": (lambda: b"", 422, "photo.jpg is empty"),
    "a page": (lambda: b"<html><script>alert(1)</script>", 422, "not a photo of a known kind"),
    "half a photo": (lambda: jpeg_with_exif(1)[:700], 422, "photo.jpg: "),
    "too many pixels": (lambda: encode_jpeg(np.zeros((1100, 1000, 3), np.uint8)), 422, "photo.jpg is too large"),
    "too many bytes": (lambda: b"x" * 3_100_000, 413, "more than 3 MB"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_photo_is_refused_and_leaves_nothing(visitor: Visitor, models: Path, kind: str) -> None:
    make, status, cause = REFUSED[kind]
    answer = visitor.send(make())
    assert answer.status_code == status
    assert cause in answer.json()["error"]
    assert str(models) not in answer.text
    assert visitor.photos() == {}


def test_more_than_was_announced_is_refused(site: str) -> None:
    def pieces() -> Any:
        for _ in range(40):
            yield b"x" * 100_000

    assert httpx.post(f"{site}api/photos?model=brighter", content=pieces()).status_code == 413


def test_a_photo_that_is_cut_off_leaves_nothing(visitor: Visitor, site: str, models: Path) -> None:
    def folders() -> set[Path]:
        return set((models / ".serve").glob("*/*"))

    host, port = urlsplit(site).hostname, urlsplit(site).port
    with socket.create_connection((str(host), int(port or 0))) as line:
        head = f"POST /api/photos?model=brighter HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 5000\r\n\r\n"
        before = folders()
        line.sendall(head.encode() + PHOTO[:300])
        wait_until(lambda: folders() > before)
    wait_until(lambda: folders() == before)
    assert visitor.photos() == {}


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "/etc/shadow.jpg": "shadow.jpg",
    "C:\\photos\\a.png": "a.png",
    "a\r\nSet-Cookie: x=1.jpg": "aSet-Cookie: x=1.jpg",
    "\x1b[31mred.jpg": "[31mred.jpg",
    "gpj.\u202eexe": "gpj.exe",
    "": "photo",
    "...": "photo",
    ".jpg": "jpg",
    "x" * 5000 + ".jpeg": "x" * 80 + ".jpeg",
    "Überlingen (1).HEIC": "Überlingen (1).HEIC",
    "a\x00b.jpg": "ab.jpg",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_for_people_only(visitor: Visitor, models: Path, name: str) -> None:
    told = visitor.send(PHOTO, name=name).json()
    assert told["name"] == NAMES[name]
    visitor.wait(told["id"], "done")
    answer = visitor.get(told["id"])
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    known = {"photo.jpg", "photo.png", "photo.heic", "photo.jpeg", "result.jpg", "result.png", "result.jpeg", "share"}
    pictures = {"before.jpg", "before-fit.jpg", "after.jpg", "after-fit.jpg"}
    assert {path.name for path in (models / ".serve").glob("*/*/*")} <= known | pictures
    visitor.act(told["id"], "remove")


def test_each_visitor_and_all_have_so_many_photos_at_a_time(models: Path) -> None:
    large = encode_jpeg(np.random.default_rng(0).integers(0, 256, (900, 1100, 3), np.uint8), quality=80)
    limits = Limits(waiting=2, all_waiting=3)
    with Queue(models / ".serve", limits, memory_bytes=10**9, device="cpu") as queue:

        def send(visitor: str) -> None:
            with queue.arriving(visitor, "photo.jpg") as upload:
                upload.photo.write_bytes(large)
                queue.add(upload, visitor, "brighter", models / "runs" / "brighter", with_place=True)

        send("a")
        send("a")
        with pytest.raises(QueueFull, match="2 of your photos"):
            send("a")
        send("b")
        with pytest.raises(QueueFull, match="3 photos are waiting"):
            send("c")


def test_what_was_done_long_ago_makes_room(models: Path, tmp_path: Path) -> None:
    limits = Limits(photo_bytes=50_000, kept_bytes=80_000)
    with Queue(tmp_path, limits, memory_bytes=10**9, device="cpu") as queue:
        sent = []
        for _ in range(12):
            with queue.arriving("a", "photo.jpg") as upload:
                upload.photo.write_bytes(PHOTO)
                sent.append(queue.add(upload, "a", "brighter", models / "runs" / "brighter", with_place=True).id)
            wait_until(lambda: queue.jobs("a")[0][0].state == "done")
        left = [job.id for job, _ in queue.jobs("a")]
        assert 1 < len(left) < 12
        assert left == sent[-len(left) :][::-1]
        assert sum(path.stat().st_size for path in tmp_path.glob("*/*/*")) <= 80_000


def test_a_server_that_was_killed_leaves_nothing_for_long(
    cli: CommandLine, models: Path, visit: Callable[..., Visitor]
) -> None:
    with started(cli, models, command="serve") as (server, address):
        visit(address).send(PHOTO)
        left = [path for path in (models / ".serve").iterdir() if path.is_dir()]
        server.send_signal(signal.SIGKILL)
        server.communicate()
    with serving(cli, models, command="serve"):
        mine = {path for path in (models / ".serve").iterdir() if path.is_dir()}
    assert len(mine & set(left)) < len(left)


def test_pages_of_runs_and_overview(visit: Callable[..., Visitor], models: Path) -> None:
    client = visit().client
    client.headers["Accept"] = "text/html"
    assert "Preference studies" not in client.get("/").text
    write_study(models, make_plan())
    overview = client.get("/").text
    shutil.rmtree(models / "study" / "demo")
    assert "<tr><td>demo</td><td>54</td><td>0</td><td>0</td><td>0</td></tr>" in overview
    assert "<b>5</b> shots" in overview
    assert "brighter, darker" in overview
    assert "There are no runs yet" in client.get("/runs").text
    refused = client.get("/runs/show?run=nothing")
    assert (refused.status_code, "no run &#39;nothing&#39;" in refused.text) == (400, True)
    assert client.get("/runs/show").status_code == 400
    assert client.get("/nowhere").text.count("<h1>Not Found</h1>") == 1


def test_without_torch_the_other_pages_work(cli: CommandLine, models: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    poor = cli.with_environment(PYTHONPATH=str(tmp_path))
    with serving(poor, models, command="serve") as address, httpx.Client(base_url=address) as client:
        assert client.get("/").status_code == 200
        assert client.get("/review").status_code == 200
        assert client.get("/api/pairs").json()["count"] == 5
        refused = client.get("/api/models")
        assert (refused.status_code, refused.json()["remedy"]) == (501, "pip install 'dpedkit[train]'")
        assert "pip install" in client.get("/runs", headers={"Accept": "text/html"}).text
