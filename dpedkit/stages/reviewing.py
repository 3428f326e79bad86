"""What the review page shows of pairs, and what it decides: pages of them, one in detail, pictures as asked for."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpedkit.align import Alignment, resample_dslr
from dpedkit.db import Corpus
from dpedkit.errors import CorpusError, DpedError, QueryError
from dpedkit.files import write_atomic
from dpedkit.images import encode_jpeg, read_rgb, read_small
from dpedkit.stages import given
from dpedkit.stages.align_drawing import mask_cells
from dpedkit.stages.align_patch_grid import SCORES, patch_grid
from dpedkit.stages.align_pictures import DSLR, PHONE, TONED, draw_aligned, draw_apart
from dpedkit.stages.curating import person
from dpedkit.types import U8, Json
from dpedkit.workspace import Workspace

PICTURES = ("thumb.jpg", PHONE, DSLR, TONED, "full-phone.jpg", "full-dslr.jpg")
FACTS = (
    *("residual_px", "residual_p95_px", "trusted_share", "overlap", "inliers"),
    *("sharpness_ratio", "gain_red", "gain_green", "gain_blue", "patches", "kept"),
)
ORDERS = {
    "shot": "shot",
    "-residual_px": "worst residual first",
    "residual_px": "best residual first",
    "-sharpness_ratio": "DSLR sharpest first",
    "trusted_share": "least trusted first",
    "kept": "fewest patches first",
}
SHOWN = {
    "all": "",
    "undecided": "verdict is missing",
    "accepted": "verdict = 'accept'",
    "rejected": "verdict = 'reject'",
    "not aligned": "status != 'aligned'",
}
_THUMB_PX = 240
_AT_ONCE = 3  # photos are large: so many pairs are held in memory at a time


class Gallery:
    """The pairs of a workspace for one or many who look at them; every method may be called from any thread.

    A pair is known outside by `id`, the SHA-256 of its phone's photo: nothing that comes in is ever part of a path.
    """

    def __init__(self, workspace: Workspace, corpus: Corpus) -> None:
        self._workspace, self._corpus = workspace, corpus
        self._folder = workspace.reports / "review"
        self._drawing = threading.Semaphore(_AT_ONCE)
        self._locks: dict[str, threading.Lock] = {}

    def page(self, where: str, show: str, order: str, offset: int, limit: int) -> Json:
        """Return some pairs in brief, and how many a query finds; raises as `Corpus.pairs` does.

        show, order  keys of SHOWN and ORDERS
        """
        every = _all_of(where, SHOWN[show], _PHOTOS)
        try:
            found = self._corpus.pairs(every, order=order if order != "shot" else "", limit=limit, offset=offset)
        except QueryError as error:  # it points into what we made of the query
            raise QueryError(error.problem, where, min(error.at - 1, len(where))) from error
        tags = self._corpus.tags()
        return {
            "count": self._corpus.count("pairs", every),
            "offset": offset,
            "pairs": [_brief(row, tags) for row in _records(found)],
        }

    def counts(self) -> dict[str, int]:
        """Return how many pairs there are by verdict: undecided, accepted, rejected."""
        kinds = ("undecided", "accepted", "rejected")
        return {name: self._corpus.count("pairs", _all_of(SHOWN[name], _PHOTOS)) for name in kinds}

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
            alignment = self._alignment(row)
            shown["size"] = list(alignment.warp.phone_size)
            shown["mask"] = [[cell.x, cell.y, cell.width, cell.height, cell.level] for cell in mask_cells(alignment)]
            patches = self._corpus.patches(f"alignment = '{row['alignment']}'")
            if len(patches):
                grid = patch_grid(patches)
                shown["patches"] = [[cell.x, cell.y, cell.side, cell.verdict] for cell in grid.cells]
                shown["patch_scores"] = grid.scores
        else:
            model = self._corpus.alignment_model(row["alignment"]) if isinstance(row["alignment"], str) else {}
            shown["detail"] = " ".join(str(model.get(part, "")) for part in ("detail", "remedy")).strip()
        return shown

    def picture(self, which: str, name: str) -> Path:
        """Return a file of PICTURES, drawn if it is not there.

        Raises:
            CorpusError: no such pair or picture.
            ImageError: a photo cannot be read.
            StorageError: the cache cannot be written.
        """
        if name not in PICTURES:
            raise CorpusError(f"no picture {name!r}", "")
        row = self._row(which)
        folder = self._folder / _key(row)
        path = folder / name if name in (PHONE, DSLR, TONED) else self._folder / f"{folder.name}-{name}"
        if path.exists():
            return path
        with self._lock(f"{folder.name} {name.startswith('full')} {name == 'thumb.jpg'}"), self._drawing:
            if not path.exists():
                self._draw(row, folder, path, name)
        if not path.exists():
            raise CorpusError(f"this pair has no {name}", "")
        return path

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

    def _row(self, which: str) -> dict[str, Any]:
        if not re.fullmatch(r"[0-9a-f]{64}", which):
            raise CorpusError("no such pair", "")
        found = self._corpus.pairs(f"phone_sha256 = '{which}'", limit=1)
        if not len(found):
            raise CorpusError("no such pair", "reload the page: it may have been taken out")
        return _records(found)[0]

    def _alignment(self, row: dict[str, Any]) -> Alignment:
        return Alignment.from_dict(self._corpus.alignment_model(row["alignment"]))

    def _lock(self, what: str) -> threading.Lock:
        return self._locks.setdefault(what, threading.Lock())

    def _draw(self, row: dict[str, Any], folder: Path, path: Path, name: str) -> None:
        phone, dslr = (self._workspace.root / row[side] for side in ("phone_path", "dslr_path"))
        limit_px = int(self._workspace.settings.images.limit_mp * 1e6)
        self._folder.mkdir(parents=True, exist_ok=True)
        if name == "thumb.jpg":
            write_atomic(path, _thumb(lambda which: read_small(which, _THUMB_PX, limit_px=limit_px), phone, dslr))
        elif name.startswith("full"):
            own = read_rgb(phone, limit_px=limit_px)
            if name == "full-dslr.jpg":
                other = read_rgb(dslr, limit_px=limit_px)
                own = resample_dslr(own.shape, other, self._alignment(row))[0] if row["status"] == "aligned" else other
            write_atomic(path, encode_jpeg(own, quality=92, subsampling="4:4:4"))
        elif row["status"] == "aligned":
            draw_aligned(folder, phone, dslr, self._alignment(row), limit_px=limit_px)
        else:
            draw_apart(folder, phone, dslr, limit_px=limit_px)


_PHOTOS = f"version is missing or version != '{given.CUT}'"
"""Not pairs of which only patches were given: there is nothing to look at."""


def _all_of(*parts: str) -> str:
    return " and ".join(f"({part})" for part in parts if part.strip())


def _thumb(read: Callable[[Path], U8], *paths: Path) -> bytes:
    """Return photos side by side, equally high; a gray square for one that cannot be read."""
    photos = []
    for path in paths:
        try:
            photos.append(read(path))
        except DpedError:
            photos.append(np.full((_THUMB_PX, _THUMB_PX, 3), 128, np.uint8))
    height = min(map(len, photos))
    return encode_jpeg(np.concatenate([photo[:height] for photo in photos], axis=1), quality=80)


def _brief(row: dict[str, Any], tags: dict[str, list[str]]) -> Json:
    return {
        "id": row["phone_sha256"],
        "key": _pair_key(row),
        **{name: _plain(row[name]) for name in ("shot", "phone", "dslr", "scene", "split", "status", "reason")},
        **{name: _plain(row[name]) for name in ("residual_px", "patches", "kept", "verdict", "decided_by")},
        "decision": int(row["decision"]),
        "tags": tags.get(_pair_key(row), []),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _pair_key(row: dict[str, Any]) -> str:
    return f"{row['shot']}:{row['phone']}"


def _key(row: dict[str, Any]) -> str:
    made_of = (row["alignment"], row["phone_sha256"], row["dslr_sha256"], row["status"], 1)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
