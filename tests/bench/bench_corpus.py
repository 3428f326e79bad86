"""An index of 22,000 photos and 500,000 patches: what a query costs, and all patches as a DataFrame.

Count and first 200 rows come together, from one open corpus whose file lies in memory. The baseline
is one SQL statement with its joins, read by pandas; it has neither decisions nor column types. Decisions are 5,000
rejects of pairs and 2,000 tags.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from baselines import pandas_sql
from big_corpus import PATCHES, SHOTS, big_corpus
from measure import Figure, Findings

from dpedkit.db import Corpus

REPEATS = 5
QUERIES = {
    "a score": "ncc > 0.95",
    "a column of the pair": "residual_px < 0.02",
    "text": "phone = 'sony' and split = 'train'",
    "like": "shot like 's00*/0007' or reason like 'un*'",
    "scores, pair and text mixed by or": "ncc > 0.99 or residual_px > 0.1 or (scene = 'park' and not keep)",
    "what is in use": "used and confidence > 20",
    "decisions": "pair_verdict = 'reject' or verdict = 'accept'",
    "a tag": "not tag = 'night' and std > 30",
    "nothing found": "ncc > 2",
    "everything found": "not ncc > 2",
}


def run() -> Findings:
    """Build the corpus, then ask."""
    with tempfile.TemporaryDirectory() as folder, big_corpus(Path(folder)) as corpus:
        pairs = corpus.pairs()
        keys = (pairs["shot"] + ":" + pairs["phone"]).tolist()
        corpus.store.decide("pair", dict.fromkeys(keys[::3][:5_000], "reject"), who="bench")
        patches = corpus.page_of_patches("", 2_000)[1]["patch"].tolist()
        corpus.store.decide("patch", dict.fromkeys(patches, "on"), who="bench", tag="night")
        queries = [
            Figure(f"count and first 200: {name}", _ask(corpus, where), "s", target="<= 0.5")
            for name, where in QUERIES.items()
        ]
        ours, theirs = [], []
        for _ in range(REPEATS):
            ours.append(_timed(corpus.patches))
            theirs.append(_timed(lambda: pandas_sql.read(Path(folder) / "corpus.db")))
        whole = Figure(f"all {PATCHES} patches as a DataFrame", ours, "s", theirs, target="<= 5")
        many = Figure("all pairs as a DataFrame", [_timed(corpus.pairs) for _ in range(REPEATS)], "s")
        batch = dict.fromkeys(keys, "accept")
        decided = Figure(
            f"{len(keys)} pairs decided at once",
            [
                _timed(lambda: corpus.store.decide("pair", batch, who="bench")),
                _timed(lambda: corpus.store.undo(who="bench")),
            ],
            "s",
        )
    return Findings([*queries, whole, many, decided], [f"{4 * SHOTS} photos, {PATCHES} patches"])


def _ask(corpus: Corpus, where: str) -> list[float]:
    def ask() -> None:
        corpus.page_of_patches(where, 200)

    return [_timed(ask) for _ in range(REPEATS)]


def _timed(call: object) -> float:
    start = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - start
