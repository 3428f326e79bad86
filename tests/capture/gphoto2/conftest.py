"""A simulated EOS before a body that the test holds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eos_body import CopyingBody

from dpedkit.capture.simulate.eos import EosServer


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """libgphoto2 keeps settings in ~/.gphoto: not in that of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.delenv("VCAMERADIR", raising=False)
        yield folder


@pytest.fixture(scope="session")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lands on the card; nothing in between looks inside, so it is noise between the markers of a JPEG."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    path.write_bytes(b"\xff\xd8" + random.Random(70).randbytes(2_500_001) + b"\xff\xd9")
    return path


@pytest.fixture
def body(tmp_path: Path, jpeg: Path) -> CopyingBody:
    return CopyingBody(tmp_path / "card", {"JPG": jpeg})


@pytest.fixture
def serve() -> Iterator[Callable[[CopyingBody], EosServer]]:
    """Put bodies on the network until the test is over."""
    servers: list[EosServer] = []

    def start(body: CopyingBody) -> EosServer:
        servers.append(EosServer(body))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(body: CopyingBody, serve: Callable[[CopyingBody], EosServer]) -> EosServer:
    return serve(body)
