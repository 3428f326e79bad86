"""The patches of a snapshot, as the trainer reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dpedkit.db.shards import open_shard
from dpedkit.errors import CorpusError
from dpedkit.files import allow_open_files
from dpedkit.types import I64, U8, Json

_OTHER_FILES = 100  # that a process has open beside shards
_MOST_MAPS = 30_000  # Linux allows a process 65,530 unless told otherwise


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
        self._last_row = np.full(len(self._shards), -1)
        np.maximum.at(self._last_row, shard_of, row_of)
        allowed = allow_open_files(min(len(self._shards), _MOST_MAPS) + _OTHER_FILES)
        self._most_open = max(allowed - _OTHER_FILES, 1)  # each mapped shard holds a file open
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
        shard_of, row_of = self._shard_of[wanted].tolist(), self._row_of[wanted].tolist()
        pairs = np.empty((2, len(wanted), self._patch_px, self._patch_px, 3), np.uint8)
        for place, shard, row in zip(pairs.swapaxes(0, 1), shard_of, row_of, strict=True):
            place[...] = self._open(shard)[row]  # one copy, of a pair
        return pairs[0], pairs[1]

    def __getstate__(self) -> Json:
        return self.__dict__ | {"_opened": {}}  # a worker maps the shards itself

    def _open(self, shard: int) -> U8:
        if shard not in self._opened:
            if len(self._opened) >= self._most_open:
                del self._opened[next(iter(self._opened))]
            pixels = open_shard(self._folder, self._shards[shard])
            last = int(self._last_row[shard])
            if last >= len(pixels):
                raise CorpusError(
                    f"the shard {self._folder / self._shards[shard]} has {len(pixels)} rows, but row {last} is wanted",
                    "run `dpedkit build-patches`: it rebuilds what is missing",
                )
            self._opened[shard] = pixels
        return self._opened[shard]
