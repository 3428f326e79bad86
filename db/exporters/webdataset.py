"""WebDataset: tar files that are read from front to back.

    PHONE-SPLIT-000000.tar      a thousand pairs, of which each is
        PHONE-SPLIT-000000.dslr.png
        PHONE-SPLIT-000000.json
        PHONE-SPLIT-000000.phone.png

What stands before the first dot is the key, by which the reader finds the files of one sample: they follow each other.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence

from dpedkit.db.exporters.exporter import Exporter, Pair
from dpedkit.images import encode_png
from dpedkit.types import U8

_PER_SHARD = 1000


class WebDataset(Exporter):
    """Tar files of a thousand pairs."""

    batch = _PER_SHARD

    def files(self, pairs: Sequence[Pair], phone: U8, dslr: U8) -> Iterator[tuple[str, bytes]]:
        """Yield one tar file."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for pair, phone_px, dslr_px in zip(pairs, phone, dslr, strict=True):
                told = json.dumps({"device": pair.phone, "split": pair.split, **pair.facts}, ensure_ascii=False)
                members = {"dslr.png": encode_png(dslr_px), "json": told.encode(), "phone.png": encode_png(phone_px)}
                for ending, data in members.items():
                    member = tarfile.TarInfo(f"{self._key(pair)}.{ending}")  # its time is 0, its owner nobody
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        yield self.place(pairs[0])["shard"], stream.getvalue()

    def place(self, pair: Pair) -> dict[str, str]:
        """Return its tar file, and its key there."""
        shard = f"{pair.phone}-{self.splits[pair.split]}-{pair.number // _PER_SHARD:06d}.tar"
        return {"shard": shard, "key": self._key(pair)}

    def usage(self, phones: Sequence[str]) -> str:
        """Return how webdataset reads it."""
        return f"""\
Tar files of 1,000 pairs: `PHONE-SPLIT-NUMBER.tar`. Their order means nothing, so a small shuffle buffer will do.

```python
import webdataset as wds

pairs = wds.WebDataset("{phones[0]}-train-000000.tar", shardshuffle=False)  # or "...-{{000000..000009}}.tar"
for phone, dslr, told in pairs.decode("pil").to_tuple("phone.png", "dslr.png", "json"):
    ...
```
"""

    def _key(self, pair: Pair) -> str:
        return f"{pair.phone}-{self.splits[pair.split]}-{pair.name}"
