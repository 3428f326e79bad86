"""What a layout is: pixels in, files out. Everything else of an export is the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dpedkit.db.records import SplitName
from dpedkit.images import encode_png
from dpedkit.types import U8, Json

EVERY_SPLIT: Mapping[SplitName, str] = MappingProxyType({"train": "train", "val": "val", "test": "test"})


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of patches, as a layout knows it.

    phone   name of the phone
    split   as the corpus calls it
    number  its place in the list of its phone and split, from 0
    facts   patch (its key), shot, x, y and those scores that every exported patch has; goes into JSON
    """

    phone: str
    split: SplitName
    number: int
    facts: Json

    @property
    def name(self) -> str:
        """Its number as file names have it: they sort as numbers do."""
        return f"{self.number:06d}"


@dataclass(frozen=True, slots=True)
class WholePhoto:
    """A photo that exported patches are from, as a layout knows it.

    role    "phone" or "dslr"
    shot    as the facts of its pairs name it
    number  among the device's photos in its split, from 0
    """

    device: str
    role: str
    split: SplitName
    shot: str
    number: int


class Exporter(ABC):
    """A layout. It is made without arguments, and goes to worker processes as it is.

    splits    those it has a place for -> what it calls them; pairs of others are left out, and the card says so
    batch     how many pairs are made into files at a time, by one worker
    patch_px  the only size of patches that its readers take; None: any
    index     path of the list that its readers want of one phone's pairs in one split, with {phone} and {split}, the
              layout's own name of it, to be filled in; "": they want none
    """

    splits: Mapping[SplitName, str] = EVERY_SPLIT
    batch: int = 500
    patch_px: int | None = None
    index: str = ""

    def files(self, pairs: Sequence[Pair], phone: U8, dslr: U8) -> Iterator[tuple[str, bytes]]:
        """Yield the files of up to `batch` pairs of one phone and split, the same bytes each time.

        Where a layout does not say otherwise: two for each pair, at its two places, the phone's first.

        pairs        consecutive ones; the first one's number is a multiple of `batch`
        phone, dslr  uint8 [N, S, S, 3]
        ->           path in the exported folder, with forward slashes, and content
        """
        for pair, *both in zip(pairs, phone, dslr, strict=True):
            yield from zip(self.place(pair).values(), map(self.encode, both), strict=True)

    def encode(self, rgb: U8) -> bytes:
        """Return the file of one patch [S, S, 3]: PNG, which loses nothing."""
        return encode_png(rgb)

    @abstractmethod
    def place(self, pair: Pair) -> dict[str, str]:
        """Return where a pair is found, for its line of the manifest: such as its two files."""

    @abstractmethod
    def usage(self, phones: Sequence[str]) -> str:
        """Return a passage in Markdown for the card: what is where, and how it is read."""

    def photo(self, photo: WholePhoto) -> str:
        """Return the path of a whole photo, without its ending; "": the layout has no place for it."""
        return f"photos/{photo.shot}/{photo.device}"

    def line(self, pair: Pair) -> str:
        """Return a pair's line of that list."""
        raise NotImplementedError

    def front_matter(self, licence: str, splits: Sequence[SplitName]) -> str:  # noqa: ARG002  (most need none)
        """Return what must stand before everything else in the card, with its line ends."""
        return ""
