"""The photos that methods are judged on, one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpedkit.align import Alignment, resample_dslr
from dpedkit.db import Corpus, SplitName, open_shard
from dpedkit.errors import CorpusError
from dpedkit.images import read_rgb
from dpedkit.stages import given
from dpedkit.stages.frames import rows
from dpedkit.types import U8, Bools
from dpedkit.workspace import Workspace


@dataclass(frozen=True)
class HeldOut:
    """One photo of a phone in a split, and its patches in use.

    path         its file; None where patches were given without the photos that they are of
    pair         its row of `Corpus.pairs`
    phone, dslr  patches uint8 [N, S, S, 3]
    xy           [N] where they lie in the photo, px
    """

    shot: str
    path: Path | None
    pair: Any
    phone: U8
    dslr: U8
    xy: Sequence[tuple[int, int]]
    limit_px: int

    @cached_property
    def rgb(self) -> U8:
        """The whole photo, read when it is first asked for and kept as long as this record is.

        Raises:
            CorpusError: there is none.
            ImageError: it cannot be read.
        """
        if self.path is None:
            raise CorpusError(
                f"{self.shot}: only patches were given, and no photos", "patches can be scored with --protocol patches"
            )
        return read_rgb(self.path, limit_px=self.limit_px)

    def cut(self, rgb: U8) -> U8:
        """Return the patches of a version of the whole photo."""
        size = self.phone.shape[1]
        return np.stack([rgb[y : y + size, x : x + size] for x, y in self.xy])


class HeldOutPhotos:
    """Iterates over a phone's photos that have patches in use in a split, in order of their shots.

    at_most  evenly spaced ones of them; 0: all
    """

    def __init__(
        self, workspace: Workspace, corpus: Corpus, patches: pd.DataFrame, phone: str, *, at_most: int = 0
    ) -> None:
        self._folder, self._root = corpus.shard_folder, workspace.root
        self._limit_px = int(workspace.settings.images.limit_mp * 1e6)
        by_shot = {str(shot): mine for shot, mine in patches[patches["phone"] == phone].groupby("shot")}
        self.of = len(by_shot)
        chosen = np.linspace(0, self.of - 1, min(at_most or self.of, self.of)).astype(int).tolist()
        self._by_shot = {shot: by_shot[shot] for shot in (list(by_shot)[index] for index in chosen)}
        pairs = corpus.pairs()
        pairs = pairs[(pairs["phone"] == phone) & pairs["shot"].isin(list(self._by_shot))]
        self._pairs = {pair.shot: pair for pair in rows(pairs)}
        self._whole = set(given.with_photos(pairs)["shot"])

    def __len__(self) -> int:
        return len(self._by_shot)

    @property
    def has_photos(self) -> bool:
        """Whether the photos are known, not the patches alone."""
        return self._whole == set(self._by_shot)

    @property
    def paths(self) -> list[Path]:
        """The files of the photos, those that are known."""
        return [path for shot in self._by_shot if (path := self._path(shot)) is not None]

    def __iter__(self) -> Iterator[HeldOut]:
        for shot, mine in self._by_shot.items():
            groups = [(str(shard), group) for shard, group in mine.groupby("shard")]
            pixels = np.concatenate([open_shard(self._folder, name)[group["row"].to_numpy()] for name, group in groups])
            placed = pd.concat([group for _, group in groups])
            xy = list(zip(placed["x"].tolist(), placed["y"].tolist(), strict=True))
            yield HeldOut(shot, self._path(shot), self._pairs[shot], pixels[:, 0], pixels[:, 1], xy, self._limit_px)

    def _path(self, shot: str) -> Path | None:
        return self._root / Path(self._pairs[shot].phone_path) if shot in self._whole else None


def dslr_on_phone(workspace: Workspace, corpus: Corpus, pair: Any, shape: tuple[int, ...]) -> tuple[U8, Bools]:
    """Return the DSLR's photo of an aligned pair on the phone's pixels, and where it shows anything.

    pair   its row of `Corpus.pairs`
    shape  of the phone's photo

    Raises:
        ImageError: the DSLR's photo cannot be read.
    """
    alignment = Alignment.from_dict(corpus.alignment_model(pair.alignment))
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    return resample_dslr(shape, read_rgb(workspace.root / pair.dslr_path, limit_px=limit_px), alignment)


def find_held_out(corpus: Corpus, split: SplitName, phones: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the patches of a split that are in use, and the phones to judge: those asked for, or all that have some.

    Raises:
        CorpusError: there are no patches in this split, or none of a phone that was asked for.
    """
    patches = corpus.patches()
    held_out = patches[patches["used"] & (patches["split"] == split)]
    names = sorted(set(held_out["phone"]))
    if missing := sorted(set(phones) - set(names)):
        raise CorpusError(
            f"no patches of {', '.join(missing)} in the {split} split",
            f"phones with patches: {', '.join(names) or 'none'}",
        )
    if not names:
        raise CorpusError(f"no patches in the {split} split", "cut some first: `dpedkit build-patches`")
    return held_out, list(phones) or names
