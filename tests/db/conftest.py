"""A small corpus whose every row and pixel is known."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dpedkit.db import (
    AlignmentRecord,
    Corpus,
    DeviceRecord,
    LensRecord,
    PatchRecord,
    PhotoRecord,
    SessionRecord,
    ShotRecord,
    open_corpus,
    write_shard,
)
from dpedkit.db.migrate import MIGRATIONS
from dpedkit.types import U8

PATCH_PX = 6
NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"

def upgrade():
    op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))
    with op.batch_alter_table("shot") as shot:
        shot.add_column(sa.Column("place", sa.String(), server_default="here"))
"""


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Builder:
    """Fills a corpus with shots of one DSLR and its phones, and remembers the pixels of every patch by its key."""

    corpus: Corpus
    phones: tuple[str, ...] = ("sony", "iphone")

    def __post_init__(self) -> None:
        self.pixels: dict[str, tuple[U8, U8]] = {}
        self.corpus.shard_folder.mkdir(exist_ok=True)

    def session(self) -> None:
        devices = [
            DeviceRecord("canon", "dslr", "Canon EOS 70D"),
            *(DeviceRecord(name, "phone") for name in self.phones),
        ]
        self.corpus.store.add_session(SessionRecord("s", rig="tripod", started_ns=1, settings={"shots": 3}), devices)

    def photo(self, shot: str, device: str) -> PhotoRecord:
        path = f"photos/{shot}_{device}.jpg"
        return PhotoRecord(device, path, sha(path), 10, 60, 40, exposure_s=0.01, shutter_ns=1_790_000_000_123_456_789)

    def shot(self, number: int) -> str:
        key = f"s/{number:04d}"
        photos = [self.photo(key, device) for device in ("canon", *self.phones)]
        self.corpus.store.add_shot(ShotRecord(key, "s", number, scheduled_ns=number), photos)
        return key

    def alignment(self, shot: str, phone: str, version: str = "1") -> str:
        key = sha(f"{shot} {phone} {version}")
        photos = self.photo(shot, phone).sha256, self.photo(shot, "canon").sha256
        self.corpus.store.add_alignment(
            AlignmentRecord(key, *photos, version, "aligned", model={"h": [1.5]}, residual_px=0.25, inliers=90)
        )
        return key

    def patches(self, alignment: str, places: range, recipe: str = "cut 1") -> str:
        keys = [sha(f"{alignment} {place}") for place in places]
        pixels = np.stack(
            [np.random.default_rng(int(key[:8], 16)).integers(0, 256, (2, PATCH_PX, PATCH_PX, 3)) for key in keys]
        )
        pixels = pixels.astype(np.uint8)
        self.pixels |= {key: (pair[0], pair[1]) for key, pair in zip(keys, pixels, strict=True)}
        shard = write_shard(self.corpus.shard_folder, pixels[:, 0], pixels[:, 1])
        rows = [
            PatchRecord(key, row, x=place, y=0, size=PATCH_PX, ncc=0.9, keep=place % 4 != 3)
            for row, (key, place) in enumerate(zip(keys, places, strict=True))
        ]
        self.corpus.store.replace_patches(alignment, recipe, shard, rows)
        return shard

    def fill(self, shots: int, patches: int = 8) -> None:
        self.session()
        self.corpus.store.add_lens(LensRecord("s", "sony", "canon", {"phone": [-0.08, 0.02]}, pairs=shots))
        for number in range(1, shots + 1):
            shot = self.shot(number)
            for phone in self.phones:
                self.patches(self.alignment(shot, phone), range(patches))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; every test of the corpus runs on both kinds."""
    return request.getfixturevalue("new_postgres")() if request.param == "postgresql" else "sqlite:///corpus.db"


@pytest.fixture
def new_corpus(tmp_path: Path, database: str) -> Callable[[], Corpus]:
    """Opens the corpus in tmp_path; its clock ticks 1, 2, 3 ... ns."""
    return lambda: open_corpus(tmp_path, database, clock=itertools.count(1).__next__)


@pytest.fixture
def corpus(new_corpus: Callable[[], Corpus]) -> Iterator[Corpus]:
    with new_corpus() as corpus:
        yield corpus


@pytest.fixture
def newer_migrations(tmp_path: Path) -> Path:
    """The migrations of a dpedkit one revision ahead of this one."""
    folder = tmp_path / "newer"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "r0005_place.py").write_text(NEXT_REVISION)
    return folder


@pytest.fixture
def build(corpus: Corpus) -> Builder:
    return Builder(corpus)
