"""What the review page shows of pairs, and what it decides: pages of them, one in detail, pictures as asked for."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

import pandas as pd

from dpedkit.db import Corpus
from dpedkit.db.where import parse
from dpedkit.errors import CorpusError, QueryError
from dpedkit.stages import given
from dpedkit.stages.align_drawing import mask_cells
from dpedkit.stages.align_patch_grid import SCORES, patch_grid
from dpedkit.stages.curating import person
from dpedkit.stages.review_pictures import Picture, Pictures, alignment_of, pictures_key
from dpedkit.types import Json
from dpedkit.workspace import Workspace

FACTS = (
    *("residual_px", "residual_p95_px", "trusted_share", "overlap", "inliers"),
    *("sharpness_ratio", "gain_red", "gain_green", "gain_blue", "patches", "kept"),
)
ORDERS = ("shot", "-residual_px", "residual_px", "-sharpness_ratio", "trusted_share", "kept")
SHOWN = {
    "all": "",
    "undecided": "verdict is missing",
    "accepted": "verdict = 'accept'",
    "rejected": "verdict = 'reject'",
    "not aligned": "status != 'aligned'",
}
_COUNTED = {"undecided": None, "accepted": "accept", "rejected": "reject"}
_ID = re.compile(r"[0-9a-f]{64}")


class Gallery:
    """The pairs of a workspace for one or many who look at them; every method may be called from any thread.

    A pair is known outside by `id`, the SHA-256 of its phone's photo, and its pictures by `pictures`, which is another
    one when the pair was aligned again: nothing that comes in is part of a path unless it is such a number.
    """

    def __init__(self, workspace: Workspace, corpus: Corpus) -> None:
        self._corpus, self._pictures = corpus, Pictures(workspace, corpus)

    def page(
        self, where: str, show: str, order: str, offset: int, limit: int, after: frozenset[str] = frozenset()
    ) -> Json:
        """Return some pairs in brief, and how many a query finds; raises as `Corpus.pairs` does.

        Where nothing is asked, what `counts` returns comes with them: it tells how many are found, too.

        show, order  of SHOWN and ORDERS
        after        ids of the page that began at `offset`: what follows it is wanted. Those of them that were decided
                     and are no longer found do not count, so that nothing is skipped
        """
        every = self._every(where, show)
        by = order if order != "shot" else ""
        try:
            found = _records(self._corpus.pairs(every, order=by, limit=limit + len(after), offset=offset))
            counts = None if where.strip() else self.counts()
            known_counts = {} if counts is None else {"all": sum(counts.values()), **counts}
            count = known_counts[show] if show in known_counts else self._corpus.count("pairs", every)
        except QueryError as error:  # it points into what we made of the query
            raise QueryError(error.problem, where, min(error.at - 1, len(where))) from error
        known = sum(1 for _ in takewhile(lambda row: row["phone_sha256"] in after, found))
        tags = self._corpus.tags()
        pairs = [_brief(row, tags) for row in found[known : known + limit]]
        return {"count": count, "counts": counts, "offset": offset + known, "limit": limit, "pairs": pairs}

    def counts(self) -> dict[str, int]:
        """Return how many pairs there are by verdict: undecided, accepted, rejected."""
        found = self._corpus.tally_pairs("verdict", _PHOTOS)
        return {name: found.get(verdict, 0) for name, verdict in _COUNTED.items()}

    def pair(self, which: str) -> Json:
        """Return all that is shown of one pair: facts, mask and patches, in px of the phone's photo.

        Raises:
            CorpusError: there is no such pair.
        """
        row = self._row(which)
        shown = _brief(row, self._corpus.tags()) | {
            "facts": {name: _plain(row[name]) for name in FACTS},
            "gates": _plain(row["gates"]),
            "mask": [],
            "patches": [],
            "scores": [{"name": score.name, "label": score.label, "better": score.better} for score in SCORES],
        }
        if row["status"] == "aligned":
            alignment = alignment_of(self._corpus, row)
            shown["size"] = list(alignment.warp.phone_size)
            shown["mask"] = [[cell.x, cell.y, cell.width, cell.height, cell.level] for cell in mask_cells(alignment)]
            patches = self._corpus.patches(alignment=row["alignment"])
            if len(patches):
                grid = patch_grid(patches)
                shown["patches"] = [[cell.x, cell.y, cell.side, cell.verdict] for cell in grid.cells]
                shown["patch_scores"] = grid.scores
        else:
            model = self._corpus.alignment_model(row["alignment"]) if isinstance(row["alignment"], str) else {}
            shown["detail"] = " ".join(str(model.get(part, "")) for part in ("detail", "remedy")).strip()
        return shown

    def picture(self, which: str, key: str, name: str) -> Picture:
        """Return a picture of a pair; `key` is what the page knows as its `pictures`.

        Raises:
            CorpusError: no such pair or picture.
            ImageError: a photo cannot be read.
            StorageError: the cache cannot be written.
        """
        return self._pictures.get(key, name, lambda: self._row(which))

    def decide(self, which: str, verdict: str, seen: int) -> Json:
        """Accept or reject a pair, or make it undecided ("").

        seen  number of the decision that the page showed: where another holds by now, nothing is written and
              "conflict" says what holds
        """
        if verdict not in ("accept", "reject", ""):
            raise CorpusError(f"no verdict {verdict!r}", "accept, reject or nothing")
        key = _pair_key(self._row(which))
        done = self._corpus.store.decide("pair", {key: verdict}, who=person(), why="review", seen={key: seen})
        conflict = next(iter(done.conflicts), None)
        return self._state(which) | {
            "batch": done.batch,
            "conflict": None if conflict is None else {"verdict": conflict.verdict, "who": conflict.who},
        }

    def undo(self, which: str, batch: int) -> Json:
        """Take back one batch of this page's decisions, unless something was decided since."""
        done = self._corpus.store.undo(batch, who=person())
        return self._state(which) | {"undone": done.decided}

    def _state(self, which: str) -> Json:
        row = self._row(which)
        return {"verdict": _plain(row["verdict"]), "decision": int(row["decision"]), "by": _plain(row["decided_by"])}

    def _every(self, where: str, show: str) -> str:
        if where.strip():
            parse(where)  # by itself: within ours, it could close a parenthesis that it never opened
        return _all_of(where, SHOWN[show], _PHOTOS)

    def _row(self, which: str) -> dict[str, Any]:
        if not _ID.fullmatch(which):
            raise CorpusError("no such pair", "")
        found = self._corpus.pairs(f"phone_sha256 = '{which}'", limit=1)
        if not len(found):
            raise CorpusError("no such pair", "reload the page: it may have been taken out")
        return _records(found)[0]


_PHOTOS = f"version is missing or version != '{given.CUT}'"
"""Not pairs of which only patches were given: there is nothing to look at."""


def _all_of(*parts: str) -> str:
    return " and ".join(f"({part})" for part in parts if part.strip())


def _brief(row: dict[str, Any], tags: dict[str, list[str]]) -> Json:
    return {
        "id": row["phone_sha256"],
        "key": _pair_key(row),
        "pictures": pictures_key(row),
        **{name: _plain(row[name]) for name in ("shot", "phone", "dslr", "scene", "split", "status", "reason")},
        **{name: _plain(row[name]) for name in ("residual_px", "patches", "kept", "verdict", "decided_by")},
        "decision": int(row["decision"]),
        "tags": tags.get(_pair_key(row), []),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _pair_key(row: dict[str, Any]) -> str:
    return f"{row['shot']}:{row['phone']}"


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
