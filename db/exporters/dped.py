"""The public dataset's own layout, for the DPED authors' code.

    PHONE/training_data/{PHONE,canon}/N.jpg         what is in train
    PHONE/test_data/patches/{PHONE,canon}/N.jpg     what is in test; there is no place for val
    PHONE/test_data/full_size_test_images/N.jpg     whole photos of the phone that are in test

Their `load_dataset.py` counts the files of a folder and opens 0.jpg, 1.jpg and so on, 100 x 100 px each. The files are
JPEGs of the highest quality, with all of the colour: docs/corpus.md says what that costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from dpedkit.db.exporters.exporter import Exporter, Pair, WholePhoto
from dpedkit.images import encode_jpeg
from dpedkit.types import U8


class Dped(Exporter):
    """The public dataset's layout."""

    splits = MappingProxyType({"train": "training_data", "test": "test_data/patches"})
    patch_px = 100

    def encode(self, rgb: U8) -> bytes:
        """Return a JPEG."""
        return encode_jpeg(rgb, quality=100, subsampling="4:4:4")

    def place(self, pair: Pair) -> dict[str, str]:
        """Return its two files."""
        folder = f"{pair.phone}/{self.splits[pair.split]}"
        return {
            "phone_file": f"{folder}/{pair.phone}/{pair.number}.jpg",
            "dslr_file": f"{folder}/canon/{pair.number}.jpg",
        }

    def photo(self, photo: WholePhoto) -> str:
        """Return the place of a phone's photos in test: there is none for others."""
        if photo.role != "phone" or photo.split != "test":
            return ""
        return f"{photo.device}/test_data/full_size_test_images/{photo.number}"

    def usage(self, phones: Sequence[str]) -> str:
        """Return how the authors' code reads it."""
        return f"""\
The layout of the DPED dataset, as https://github.com/aiff22/DPED reads it; `canon` is the DSLR, whatever it was.

```
python train_model.py model={phones[0]} dped_dir=THIS_FOLDER/ num_train_iters=20000 batch_size=50 train_size=-1
```

Patches are JPEGs of quality 100 without subsampling.
"""
