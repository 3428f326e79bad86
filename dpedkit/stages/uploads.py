"""A photo that a visitor of the page sent: what worker processes do with it, out of reach of the page itself.

Decoders that are fed by strangers run here: each process has a limit of memory, and is ended when it takes too long.
"""

from __future__ import annotations

import os
import signal
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dpedkit import memory
from dpedkit.errors import ImageError, ImageTooLarge, StorageError
from dpedkit.files import storage_error, write_atomic
from dpedkit.images import PHOTO_SUFFIXES, encode_jpeg, read_meta, read_photo, shrink
from dpedkit.photo_writing import result_suffix, write_photo
from dpedkit.types import U8

if TYPE_CHECKING:
    from dpedkit.train.networks import Enhancer

FIT_PX = 1600  # what a page shows where the whole photo has to fit
_MOST_SIDE_PX = 65_000  # of a JPEG
_QUALITY = 92
_SHARE = struct.Struct("d")
_NICE = 5  # pages come first


@dataclass(frozen=True, slots=True)
class Upload:
    """Where one photo lies, and what is allowed.

    folder      its own; only known names are made in it
    name        as the visitor's device calls it, without folders: for people to read
    limit_px    most pixels
    model       what enhances it; with_place: whether the result may tell where it was taken
    memory_bytes, device    as in `dpedkit.train.enhance`
    """

    folder: Path
    name: str
    limit_px: int
    model: Path = Path()
    with_place: bool = True
    memory_bytes: int = 0
    device: str = "cpu"

    def __str__(self) -> str:
        return self.name

    @property
    def photo(self) -> Path:
        """What was sent. Its content says what it is; the suffix, one of those known, what the result is."""
        suffix = Path(self.name).suffix.lower()
        return self.folder / f"photo{suffix if suffix in PHOTO_SUFFIXES else '.jpg'}"

    @property
    def result(self) -> Path:
        """What is made of it."""
        return self.folder / f"result{result_suffix(self.photo.suffix)}"

    @property
    def result_name(self) -> str:
        """What the result is called when it is downloaded."""
        return f"{Path(self.name).stem}-enhanced{self.result.suffix}"

    def picture(self, which: str) -> Path:
        """Return the file of one of PICTURES."""
        return self.folder / f"{which}.jpg"

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        with suppress(OSError, struct.error):
            return float(_SHARE.unpack((self.folder / "share").read_bytes())[0])
        return 0.0


PICTURES = ("before", "before-fit", "after", "after-fit")


def look(upload: Upload) -> tuple[int, int]:
    """Decode what was sent and draw it for the page; return width and height, px.

    Raises:
        ImageError: it is no photo of a known kind, damaged, or too large.
    """
    try:
        meta = read_meta(upload.photo, limit_px=upload.limit_px)
        if max(meta.width, meta.height) > _MOST_SIDE_PX:
            raise ImageTooLarge(f"{upload.photo}: {meta.width} x {meta.height} px")
        _draw(upload, "before", read_photo(upload.photo, limit_px=upload.limit_px).rgb)
    except ImageTooLarge as error:
        limit = f"{upload.limit_px / 1e6:.0f} megapixels, {_MOST_SIDE_PX} px on a side"
        raise ImageError(f"{upload.name} is too large", f"send photos of at most {limit}") from error
    except (ImageError, StorageError) as error:
        raise _in_its_words(error, upload) from error
    return meta.width, meta.height


def enhance_upload(upload: Upload) -> str:
    """Enhance what was sent; return what must stand beside the result, "" where nothing must.

    Raises:
        DpedError: the photo or the model cannot be read, or the disk is full.
    """
    from dpedkit.train import enhance
    from dpedkit.train.device import pick_device
    from dpedkit.train.weights import load_stamp

    try:
        photo = read_photo(upload.photo, limit_px=upload.limit_px)
        stamp = load_stamp(upload.model)
        with (upload.folder / "share").open("wb", buffering=0) as file:
            enhanced = enhance(
                _generator(upload.model),
                photo.rgb,
                device=pick_device(upload.device),
                memory_bytes=upload.memory_bytes,
                scratch=upload.folder,
                tell=lambda share: _tell(file.fileno(), share),
            )
        _draw(upload, "after", enhanced)
        write_photo(upload.result, enhanced, photo, stamp, with_place=upload.with_place)
    except (ImageError, StorageError) as error:
        raise _in_its_words(error, upload) from error
    except OSError as error:
        raise storage_error(error, Path(upload.name)) from error
    return stamp


def begin_enhancing(limit_bytes: int | None) -> None:
    """Make a worker that enhances of a new process: all processors, but after those who wait for a page."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICE)
    if limit_bytes is not None:
        memory.limit_this_process(limit_bytes)


def _tell(file: int, share: float) -> None:
    os.pwrite(file, _SHARE.pack(share), 0)


@lru_cache(maxsize=2)
def _generator(model: Path) -> Enhancer:
    from dpedkit.train import load_generator

    return load_generator(model)


def _draw(upload: Upload, which: str, rgb: U8) -> None:
    write_atomic(upload.picture(which), encode_jpeg(rgb, quality=_QUALITY))
    write_atomic(upload.picture(f"{which}-fit"), encode_jpeg(shrink(rgb, FIT_PX), quality=_QUALITY))


def _in_its_words(error: ImageError | StorageError, upload: Upload) -> ImageError | StorageError:
    """Return the same error of the photo by its own name: where it lies here is nothing to visitors."""
    kind = ImageError if isinstance(error, ImageError) else StorageError
    return kind(
        error.cause.replace(str(upload.photo), upload.name).replace(str(upload.folder), "dpedkit"), error.remedy
    )
