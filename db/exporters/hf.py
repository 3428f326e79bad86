"""Hugging Face's image folder: `datasets` reads each pair as a row with two pictures.

    SPLIT/PHONE/0000/000000_phone.png, 000000_dslr.png      SPLIT: train, validation, test
    SPLIT/PHONE/metadata.jsonl                              a line for each pair

A column of the metadata whose name ends with _file_name is a picture in the column without that ending; it is relative
to the metadata's folder. A thousand pairs share a folder, because the hub takes 10,000 files in each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from types import MappingProxyType

from dpedkit.db.exporters.exporter import Exporter, Pair
from dpedkit.db.records import SplitName

_PER_FOLDER = 1000


class ImageFolder(Exporter):
    """Hugging Face's image folder, with the columns phone and dslr."""

    splits = MappingProxyType({"train": "train", "val": "validation", "test": "test"})
    index = "{split}/{phone}/metadata.jsonl"

    def place(self, pair: Pair) -> dict[str, str]:
        """Return its two files."""
        folder = f"{self.splits[pair.split]}/{pair.phone}"
        return {f"{side}_file": f"{folder}/{_file(pair, side)}" for side in ("phone", "dslr")}

    def line(self, pair: Pair) -> str:
        """Return a row of the data set."""
        pictures = {f"{side}_file_name": _file(pair, side) for side in ("phone", "dslr")}
        return json.dumps({**pictures, "device": pair.phone, **pair.facts}, ensure_ascii=False)

    def front_matter(self, licence: str, splits: Sequence[SplitName]) -> str:
        """Return the YAML that the hub and `datasets` read: the licence, and where each split is."""
        known = re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence)
        lines = [
            f"license: {licence if known else 'other' if licence else 'unknown'}",
            *([f"license_name: {json.dumps(licence)}"] if licence and not known else []),
            "task_categories:",
            "- image-to-image",
            "configs:",
            "- config_name: default",
            "  data_files:",
            *(f"  - split: {self.splits[name]}\n    path: {self.splits[name]}/**" for name in splits),
        ]
        return "\n".join(["---", *lines, "---", "", ""])

    def usage(self, phones: Sequence[str]) -> str:
        """Return how `datasets` reads it."""
        return f"""\
An image folder: every row has the pictures `phone` and `dslr`, the phone's name in `device`, and what is known of it.

```python
from datasets import load_dataset

pairs = load_dataset("imagefolder", data_dir="THIS FOLDER", split="train")
pairs[0]["phone"], pairs[0]["dslr"]
load_dataset("imagefolder", data_dir="THIS FOLDER/train/{phones[0]}")  # one phone alone
```
"""


def _file(pair: Pair, side: str) -> str:
    return f"{pair.number // _PER_FOLDER:04d}/{pair.name}_{side}.png"
