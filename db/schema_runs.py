"""The tables of what was trained: frozen lists of patches, runs and their scores."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dpedkit.db.schema import Base, Id, Name, Ns
from dpedkit.types import Json


class Snapshot(Base):
    """A frozen, ordered list of patches; `hash` is the SHA-256 over their keys."""

    __tablename__ = "snapshot"
    id: Mapped[Id]
    hash: Mapped[Name]
    phone: Mapped[str]
    split: Mapped[str]
    patches: Mapped[int]
    created_ns: Mapped[Ns]


class SnapshotPatch(Base):
    """The patch at one position of a snapshot."""

    __tablename__ = "snapshot_patch"
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    patch_id: Mapped[int] = mapped_column(ForeignKey("patch.id"), index=True)


class NamedSnapshot(Base):
    """Snapshots of phones and splits that were frozen together, under a name; never changed.

    hash  SHA-256 over its parts: phone, split and hash of each
    made  what made it: the query, the gates, the decisions that held, the version of dpedkit
    """

    __tablename__ = "named_snapshot"
    id: Mapped[Id]
    name: Mapped[Name]
    hash: Mapped[str]
    made: Mapped[Json]
    created_ns: Mapped[Ns]


class NamedSnapshotPart(Base):
    """One phone's list in one split of a named snapshot."""

    __tablename__ = "named_snapshot_part"
    named_id: Mapped[int] = mapped_column(ForeignKey("named_snapshot.id"), primary_key=True)
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id"), primary_key=True, index=True)


class Run(Base):
    """One training run."""

    __tablename__ = "run"
    id: Mapped[Id]
    name: Mapped[Name]
    phone: Mapped[str]
    recipe: Mapped[str]
    snapshot_hash: Mapped[str] = mapped_column(ForeignKey("snapshot.hash"))
    status: Mapped[str]
    config: Mapped[Json]
    created_ns: Mapped[Ns]


class Score(Base):
    """How well one run or method does for one phone on one split under one protocol."""

    __tablename__ = "score"
    __table_args__ = (UniqueConstraint("name", "phone", "split", "protocol"),)
    id: Mapped[Id]
    name: Mapped[str]
    phone: Mapped[str]
    split: Mapped[str]
    protocol: Mapped[str]
    psnr: Mapped[float | None]
    ssim: Mapped[float | None]
    ms_ssim: Mapped[float | None]
    photos: Mapped[int]
    patches: Mapped[int]
    created_ns: Mapped[Ns]
