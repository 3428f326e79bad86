"""The first schema: everything from devices to scores.

Revision ID: 0001
"""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _column(
    kind: type[sa.types.TypeEngine[Any]], name: str, *parts: Any, nullable: bool = False, **options: Any
) -> Any:
    return sa.Column(name, kind(), *parts, nullable=nullable, **options)


_integer, _bigint, _real = partial(_column, sa.Integer), partial(_column, sa.BigInteger), partial(_column, sa.Double)
_text, _boolean, _json = partial(_column, sa.String), partial(_column, sa.Boolean), partial(_column, sa.JSON)


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "decision",
        _integer("id", primary_key=True),
        _text("kind"),
        _text("key"),
        _text("verdict"),
        _text("who"),
        _text("why"),
        _bigint("decided_ns"),
    )
    op.create_index(op.f("ix_decision_kind_key"), "decision", ["kind", "key"])
    op.create_table(
        "device",
        _integer("id", primary_key=True),
        _text("name", unique=True),
        _text("role"),
        _text("model"),
        _text("serial"),
    )
    op.create_table(
        "score",
        _integer("id", primary_key=True),
        _text("name"),
        _text("phone"),
        _text("split"),
        _text("protocol"),
        _real("psnr", nullable=True),
        _real("ssim", nullable=True),
        _real("ms_ssim", nullable=True),
        _integer("photos"),
        _integer("patches"),
        _bigint("created_ns"),
        sa.UniqueConstraint("name", "phone", "split", "protocol"),
    )
    op.create_table(
        "session",
        _integer("id", primary_key=True),
        _text("name", unique=True),
        _text("rig"),
        _bigint("started_ns"),
        _json("settings"),
    )
    op.create_table(
        "shard",
        _integer("id", primary_key=True),
        _text("name", unique=True),
    )
    op.create_table(
        "snapshot",
        _integer("id", primary_key=True),
        _text("hash", unique=True),
        _text("phone"),
        _text("split"),
        _integer("patches"),
        _bigint("created_ns"),
    )
    op.create_table(
        "run",
        _integer("id", primary_key=True),
        _text("name", unique=True),
        _text("phone"),
        _text("recipe"),
        _text("snapshot_hash", sa.ForeignKey("snapshot.hash")),
        _text("status"),
        _json("config"),
        _bigint("created_ns"),
    )
    op.create_table(
        "shot",
        _integer("id", primary_key=True),
        _text("key", unique=True),
        _integer("session_id", sa.ForeignKey("session.id"), index=True),
        _integer("number"),
        _text("scene"),
        _bigint("scheduled_ns", nullable=True),
        _text("status"),
        _text("reason"),
        _bigint("skew_ns", nullable=True),
        _bigint("skew_bound_ns", nullable=True),
    )
    op.create_table(
        "photo",
        _integer("id", primary_key=True),
        _integer("shot_id", sa.ForeignKey("shot.id")),
        _integer("device_id", sa.ForeignKey("device.id"), index=True),
        _text("sha256", unique=True),
        _text("path", unique=True),
        _bigint("size_bytes"),
        _integer("width"),
        _integer("height"),
        _text("device_path"),
        _text("taken_at"),
        _real("exposure_s", nullable=True),
        _real("f_number", nullable=True),
        _real("iso", nullable=True),
        _bigint("shutter_ns", nullable=True),
        _bigint("shutter_bound_ns", nullable=True),
        _real("sharpness", nullable=True),
        _real("clipped", nullable=True),
        sa.UniqueConstraint("shot_id", "device_id"),
    )
    op.create_table(
        "split",
        _integer("shot_id", sa.ForeignKey("shot.id"), primary_key=True),
        _text("split"),
        _bigint("seed"),
    )
    op.create_table(
        "alignment",
        _integer("id", primary_key=True),
        _text("key", unique=True),
        _integer("phone_photo_id", sa.ForeignKey("photo.id"), index=True),
        _integer("dslr_photo_id", sa.ForeignKey("photo.id"), index=True),
        _boolean("current"),
        _text("version"),
        _text("status"),
        _text("reason"),
        _json("model"),
        _real("residual_px", nullable=True),
        _real("residual_p95_px", nullable=True),
        _integer("inliers", nullable=True),
        _real("overlap", nullable=True),
        _text("patches_key", nullable=True),
    )
    op.create_table(
        "patch",
        _integer("id", primary_key=True),
        _text("key", unique=True),
        _integer("alignment_id", sa.ForeignKey("alignment.id"), index=True),
        _integer("shard_id", sa.ForeignKey("shard.id"), index=True),
        _integer("row"),
        _integer("x"),
        _integer("y"),
        _integer("size"),
        _real("ncc", nullable=True),
        _real("crlb_px", nullable=True),
        _real("shift_px", nullable=True),
        _real("rotation_deg", nullable=True),
        _real("sharpness_phone", nullable=True),
        _real("sharpness_dslr", nullable=True),
        _real("clipped", nullable=True),
        _real("std", nullable=True),
        _boolean("keep"),
        _text("reason"),
    )
    op.create_table(
        "snapshot_patch",
        _integer("snapshot_id", sa.ForeignKey("snapshot.id"), primary_key=True),
        _integer("position", primary_key=True),
        _integer("patch_id", sa.ForeignKey("patch.id"), index=True),
    )
