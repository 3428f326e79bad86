"""All scores of a patch, whose verdict it carries and how its tone was matched; lenses that sessions remember.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SCORES = (
    "shift_x_px",
    "shift_y_px",
    "local_shift_px",
    "gain_red",
    "gain_green",
    "gain_blue",
    "offset_red",
    "offset_green",
    "offset_blue",
    "confidence",
)


def upgrade() -> None:
    """Add columns only: what is there keeps its values, and was aligned to the phone's pixels with its own tone."""
    for name in _SCORES:
        op.add_column("patch", sa.Column(name, sa.Double()))
    op.add_column("patch", sa.Column("match", sa.String(), nullable=False, server_default="none"))
    op.add_column("alignment", sa.Column("mode", sa.String(), nullable=False, server_default="field"))
    op.add_column("alignment", sa.Column("trusted_share", sa.Double()))
    op.add_column("alignment", sa.Column("gates", sa.String()))
    op.add_column("alignment", sa.Column("tone", sa.JSON()))
    op.create_table(
        "lens",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session_id", sa.Integer(), sa.ForeignKey("session.id"), nullable=False),
        sa.Column("phone_id", sa.Integer(), sa.ForeignKey("device.id"), nullable=False),
        sa.Column("dslr_id", sa.Integer(), sa.ForeignKey("device.id"), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("session_id", "phone_id", "dslr_id"),
    )
