"""The index as somebody who knows pandas and SQL reads it: one query with its joins, handed to pandas."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd

STATEMENT = """
SELECT patch.*, alignment."key" AS alignment, shot."key" AS shot, session.name AS session, shot.scene, split.split,
       phone.name AS phone, dslr.name AS dslr, shard.name AS shard, alignment.residual_px, alignment.residual_p95_px,
       alignment.inliers, alignment.overlap, alignment.trusted_share, alignment.sharpness_ratio, alignment.gates
FROM patch
JOIN alignment ON alignment.id = patch.alignment_id
JOIN shard ON shard.id = patch.shard_id
JOIN photo AS phone_photo ON phone_photo.id = alignment.phone_photo_id
JOIN device AS phone ON phone.id = phone_photo.device_id
JOIN photo AS dslr_photo ON dslr_photo.id = alignment.dslr_photo_id
JOIN device AS dslr ON dslr.id = dslr_photo.device_id
JOIN shot ON shot.id = phone_photo.shot_id
JOIN session ON session.id = shot.session_id
LEFT JOIN split ON split.shot_id = shot.id
WHERE alignment.current AND patch.reason != 'superseded'
ORDER BY shot, phone, shard, patch."row"
"""


def read(database: Path) -> pd.DataFrame:
    """Return every patch with what it shares with its pair."""
    with closing(sqlite3.connect(database)) as connection:
        return pd.read_sql_query(STATEMENT, connection)
