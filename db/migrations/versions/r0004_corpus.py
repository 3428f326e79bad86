"""Measures of photos and pairs; decisions in topics and batches.

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
