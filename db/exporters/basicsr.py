"""BasicSR's paired images: two folders with the same names, and a list of what is in them.

    PHONE/SPLIT/lq/000000.png           the phone's patch
    PHONE/SPLIT/gt/000000.png           the DSLR's
    PHONE/meta_info_SPLIT.txt           a line for each: 000000.png (100,100,3)

`PairedImageDataset` (basicsr/data/paired_image_dataset.py) takes the names from the list, up to the first blank, or
all files of the gt folder.
"""

from __future__ import annotations

from collections.abc import Sequence

from dpedkit.db.exporters.exporter import Exporter, Pair


class BasicSR(Exporter):
    """Folders lq and gt, with a meta_info file."""

    index = "{phone}/meta_info_{split}.txt"

    def place(self, pair: Pair) -> dict[str, str]:
        """Return its two files."""
        folder = f"{pair.phone}/{self.splits[pair.split]}"
        return {side: f"{folder}/{side}/{pair.name}.png" for side in ("lq", "gt")}

    def line(self, pair: Pair) -> str:
        """Return the name and the shape."""
        size = pair.facts["size"]
        return f"{pair.name}.png ({size},{size},3)"

    def usage(self, phones: Sequence[str]) -> str:
        """Return the options of a BasicSR configuration."""
        return f"""\
`PHONE/SPLIT/lq` has the phone's patches, `gt` the DSLR's under the same names; `PHONE/meta_info_SPLIT.txt` lists them.

```yaml
type: PairedImageDataset
dataroot_lq: {phones[0]}/train/lq
dataroot_gt: {phones[0]}/train/gt
meta_info_file: {phones[0]}/meta_info_train.txt
filename_tmpl: '{{}}'
io_backend: {{type: disk}}
scale: 1
```
"""
