"""The patches of a snapshot, as the trainer reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dpedkit.db.shards import open_shard
from dpedkit.errors import CorpusError
from dpedkit.files import allow_open_files
from dpedkit.types import I64, U8, Json

_AT_ONCE = 64  # pairs whose shards stay open until all of them are copied
_OTHER_FILES = 100 + _AT_ONCE  # that a process has open beside shards
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
        self._patch_px = math.isqrt(self._open(int(shard_of[0])).shape[1] // 6)  # of two pictures in three colours

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
        pieces = [self._read(wanted[first : first + _AT_ONCE]) for first in range(0, len(wanted), _AT_ONCE)]
        pairs = pieces[0] if len(pieces) == 1 else np.concatenate([self._read(wanted[:0]), *pieces])
        return pairs[:, 0], pairs[:, 1]

    def _read(self, wanted: I64) -> U8:
        """Return pairs [B, 2, S, S, 3] whose shards are open all at once."""
        shard_of, row_of = self._shard_of[wanted].tolist(), self._row_of[wanted].tolist()
        found = [self._open(shard)[row] for shard, row in zip(shard_of, row_of, strict=True)]
        joined = bytearray().join(found)  # NumPy's own ways to gather rows take longer for each than to copy it
        return np.frombuffer(joined, np.uint8).reshape(-1, 2, self._patch_px, self._patch_px, 3)

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
            self._opened[shard] = pixels.reshape(len(pixels), -1)  # a row of bytes is copied faster than a picture
        return self._opened[shard]
