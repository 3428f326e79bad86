"""Measures of photos and pairs; decisions in topics and batches; names of snapshots.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_PHOTO = ("latitude", "longitude", "noise", "mean_red", "mean_green", "mean_blue")
_ALIGNMENT = ("gain_red", "gain_green", "gain_blue", "sharpness_ratio")


def upgrade() -> None:
    """Add columns only: what is there keeps its values, and has not been measured."""
    for name in _PHOTO:
        op.add_column("photo", sa.Column(name, sa.Double()))
    op.add_column("photo", sa.Column("phash", sa.String()))
    op.add_column("photo", sa.Column("measured", sa.String()))
    op.add_column("photo", sa.Column("picture", sa.Boolean(), nullable=False, server_default=sa.true()))
    for name in _ALIGNMENT:
        op.add_column("alignment", sa.Column(name, sa.Double()))
    op.add_column("alignment", sa.Column("measured", sa.String()))
    op.add_column("decision", sa.Column("topic", sa.String(), nullable=False, server_default="verdict"))
    op.add_column("decision", sa.Column("batch", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("decision", sa.Column("undoes", sa.Integer()))
    op.add_column("decision", sa.Column("restores", sa.Integer()))
    op.add_column("decision", sa.Column("current", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_index(op.f("ix_decision_batch"), "decision", ["batch"])
    op.create_table(
        "named_snapshot",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("made", sa.JSON(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "named_snapshot_part",
        sa.Column("named_id", sa.Integer(), sa.ForeignKey("named_snapshot.id"), primary_key=True),
        sa.Column("snapshot_id", sa.Integer(), sa.ForeignKey("snapshot.id"), primary_key=True),
    )
    op.create_index(op.f("ix_named_snapshot_part_snapshot_id"), "named_snapshot_part", ["snapshot_id"])
