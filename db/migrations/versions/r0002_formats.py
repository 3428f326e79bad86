"""Photos in several formats, and what a session knows of its shots.

Revision ID: 0002
"""

from __future__ import annotations

from pathlib import PurePosixPath

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Give what is there its values, then make the columns as strict as the new ones are."""
    op.add_column("photo", sa.Column("format", sa.String()))
    op.add_column("photo", sa.Column("white_balance", sa.String()))
    op.add_column("photo", sa.Column("focus_m", sa.Double()))
    op.add_column("photo", sa.Column("release_ns", sa.BigInteger()))
    op.add_column("shot", sa.Column("flags", sa.JSON()))
    op.add_column("shot", sa.Column("devices", sa.JSON()))
    op.add_column("shot", sa.Column("retry_of", sa.String()))
    _fill()
    with op.batch_alter_table("photo") as photo:
        photo.alter_column("format", existing_type=sa.String(), nullable=False)
        photo.alter_column("width", existing_type=sa.Integer(), nullable=True)
        photo.alter_column("height", existing_type=sa.Integer(), nullable=True)
        photo.drop_constraint(op.f("uq_photo_shot_id_device_id"), type_="unique")
        photo.create_unique_constraint(op.f("uq_photo_shot_id_device_id_format"), ["shot_id", "device_id", "format"])
    with op.batch_alter_table("shot") as shot:
        shot.alter_column("flags", existing_type=sa.JSON(), nullable=False)
        shot.alter_column("devices", existing_type=sa.JSON(), nullable=False)


def _fill() -> None:
    connection = op.get_bind()
    photo = sa.table("photo", sa.column("id"), sa.column("path"), sa.column("format"))
    for photo_id, path in connection.execute(sa.select(photo.c.id, photo.c.path)).all():
        ending = PurePosixPath(path).suffix.lower().removeprefix(".")
        connection.execute(photo.update().where(photo.c.id == photo_id).values(format=ending))
    shot = sa.table("shot", sa.column("flags", sa.JSON()), sa.column("devices", sa.JSON()))
    connection.execute(shot.update().values(flags=[], devices={}))
