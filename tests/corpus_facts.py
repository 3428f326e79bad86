"""What a workspace's corpus holds, to be compared with another's, and how far a stage has come in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from command_line import shards

from dpedkit.db import open_corpus


def facts(ws: Path) -> dict[str, Any]:
    """What align and build-patches leave: alignments, patches with scores and splits, shards."""
    with open_corpus(ws) as corpus:
        pairs, patches, shots = corpus.pairs(), corpus.patches(), corpus.shots()
        models = {key: corpus.alignment_model(key) for key in pairs["alignment"].dropna()}
    return {
        "pairs": pairs.to_dict("records"),
        "models": models,
        "patches": patches.to_dict("records"),
        "splits": shots[["shot", "split"]].to_dict("records"),
        "shards": shards(ws),
    }


_DONE = {
    "align": "SELECT count(*) FROM alignment",
    "build-patches": "SELECT count(DISTINCT alignment_id) FROM patch",
}


def rows_done(ws: Path, stage: str) -> int:
    """Return of how many pairs the corpus holds what a stage makes: at once, and 0 while it is locked."""
    with closing(sqlite3.connect(ws / "corpus.db", timeout=0)) as corpus:
        try:
            return int(corpus.execute(_DONE[stage]).fetchone()[0])
        except sqlite3.OperationalError:
            return 0
