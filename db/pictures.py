"""Which photo of a device and shot stands for it in a pair, where there are several formats."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, exists, or_, select, update
from sqlalchemy.orm import aliased

from dpedkit.db.engine import reading, writing
from dpedkit.db.schema import Photo
from dpedkit.raw import RAW_SUFFIXES
from dpedkit.settings import check, read_toml
from dpedkit.workspace import SETTINGS_FILE, Settings

Prefer = Literal["jpeg", "raw"]

_RAW_FORMATS = tuple(sorted(suffix.removeprefix(".") for suffix in RAW_SUFFIXES))


def preferred(root: Path) -> Prefer:
    """Return what the workspace's settings prefer; of a folder that is no workspace, the default.

    Raises:
        SettingsError: its dpedkit.toml holds a wrong key or value.
    """
    file = root / SETTINGS_FILE
    return (check(Settings, read_toml(file), str(file)) if file.is_file() else Settings()).images.prefer


def settle(engine: Engine, prefer: Prefer) -> None:
    """Make `Photo.picture` say what the setting says: it may have changed since the photos were recorded."""
    with reading(engine) as connection:
        wrong = connection.execute(select(Photo.id).where(Photo.picture != _is_best(prefer)).limit(1)).first()
    if wrong is not None:
        with writing(engine) as connection:
            connection.execute(update(Photo).values(picture=_is_best(prefer)))


def mark(connection: Connection, shot_id: int, prefer: Prefer) -> None:
    """Choose the pictures of one shot, whose photos have changed."""
    connection.execute(update(Photo).where(Photo.shot_id == shot_id).values(picture=_is_best(prefer)))


@cache  # it is asked for every shot
def _is_best(prefer: Prefer) -> ColumnElement[bool]:
    """Whether no other photo of the device and shot is better: of the preferred kind, then the last by its format.

    So JPEG comes before HEIC, and RAW is the picture where there is nothing else.
    """
    other = aliased(Photo)
    better = or_(_rank(other, prefer) > _rank(Photo, prefer), _same_rank_and_later(other, prefer))
    same_place = and_(other.shot_id == Photo.shot_id, other.device_id == Photo.device_id)
    return ~exists(select(other.id).where(same_place, better).correlate(Photo))


def _same_rank_and_later(other: type[Photo], prefer: Prefer) -> ColumnElement[bool]:
    return and_(_rank(other, prefer) == _rank(Photo, prefer), other.format > Photo.format)


def _rank(photo: type[Photo], prefer: Prefer) -> ColumnElement[int]:
    raw = photo.format.in_(_RAW_FORMATS)
    return case((raw, 1), else_=0) if prefer == "raw" else case((raw, 0), else_=1)
