"""The patches of a snapshot, as the trainer reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dpedkit.db.shards import open_shard
from dpedkit.errors import CorpusError
from dpedkit.types import I64, U8, Json


class ShardPairs:
    """Matched patches in shards: a `PairSource` that pickles small and opens each shard when it is first read.

    folder        where the shards lie
    shards        their names
    shard_of      [N]  which shard each patch lies in, an index into `shards`
    row_of        [N]  its row there
    content_hash  SHA-256 over the patches' keys, in order
    """

    def __init__(self, folder: Path, shards: Sequence[str], shard_of: I64, row_of: I64, content_hash: str) -> None:
        self._folder = folder
        self._shards = tuple(shards)
        self._shard_of = shard_of
        self._row_of = row_of
        self._content_hash = content_hash
        self._opened: dict[int, U8] = {}
        self._patch_px = int(self._open(int(shard_of[0])).shape[2])

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) over the ordered list of patches."""
        return self._content_hash

    @property
    def patch_px(self) -> int:
        """Side length of the patches."""
        return self._patch_px

    def __len__(self) -> int:
        return len(self._row_of)

    def __getitem__(self, index: int) -> tuple[U8, U8]:
        """Return one pair: phone and DSLR, uint8 [S, S, 3] each."""
        phone, dslr = self.read_batch([index])
        return phone[0], dslr[0]

    def read_batch(self, rows: Sequence[int] | I64) -> tuple[U8, U8]:
        """Return the pairs at `rows`, in that order: phone and DSLR, uint8 [B, S, S, 3] each.

        Raises:
            CorpusError: a shard is missing or broken.
            IndexError: a row that does not exist.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        shard_of, row_of = self._shard_of[wanted], self._row_of[wanted]
        shape = (len(wanted), self._patch_px, self._patch_px, 3)
        phone, dslr = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        for position in np.lexsort((row_of, shard_of)).tolist():  # the order on the disk
            pair = self._open(int(shard_of[position]))[row_of[position]]
            phone[position], dslr[position] = pair[0], pair[1]
        return phone, dslr

    def __getstate__(self) -> Json:
        return self.__dict__ | {"_opened": {}}  # a worker maps the shards itself

    def _open(self, shard: int) -> U8:
        if shard not in self._opened:
            pixels = open_shard(self._folder, self._shards[shard])
            last = int(self._row_of[self._shard_of == shard].max())
            if last >= len(pixels):
                raise CorpusError(
                    f"the shard {self._folder / self._shards[shard]} has {len(pixels)} rows, but row {last} is wanted",
                    "run `dpedkit build-patches`: it rebuilds what is missing",
                )
            self._opened[shard] = pixels
        return self._opened[shard]
