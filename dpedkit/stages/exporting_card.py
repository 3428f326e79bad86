"""The card that goes with an export: what it is, how it was made, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dpedkit.db import SplitName
from dpedkit.db.exporters.exporter import Exporter
from dpedkit.types import Json

_SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


def card(exporter: Exporter, record: Json, devices: Mapping[str, Mapping[str, str]], sizes: Sequence[int]) -> str:
    """Return the card, in Markdown.

    record  what export.json holds
    sizes   of the patches, px
    """
    splits = [split for split in _SPLITS if any(split in counts for counts in record["patches"].values())]
    phones = list(record["patches"])
    return exporter.front_matter(record["licence"], splits) + "\n".join(
        [
            f"# Paired photo patches: {', '.join(phones)} and a DSLR",
            "",
            f"Pairs of patches of {_listed([f'{size} x {size}' for size in sizes])} px from photos that a phone and a "
            "DSLR took of the same scene at the same time, aligned pixel on pixel. Made by dpedkit.",
            "",
            *_table(["phone", *splits], [[phone, *_cells(record["patches"][phone], splits)] for phone in phones]),
            *_left_out(record["left_out"]),
            *_table(*_devices(devices, serials=record["keep_private"])),
            "## Layout",
            "",
            exporter.usage(phones),
            "`manifest.jsonl` has a line for each pair: where it is, its key, shot, place in the phone's photo, scores "
            "and the SHA-256 of both photos. `SHA256SUMS` has all files: `sha256sum -c SHA256SUMS`.",
            "",
            *_photos(record),
            "## How it was made",
            "",
            *_table(["", ""], _making(record)),
            "## Private data",
            "",
            _private(record),
            "",
            "## Licence",
            "",
            record["licence"] or "None was given: ask whoever gave you this before you use it or hand it on.",
            "",
        ]
    )


def _making(record: Json) -> list[list[str]]:
    made = record["made"]
    split = made["split"]
    shares = ", ".join(f"{name} {split[name]:g}" for name in _SPLITS)
    decisions = made["decisions"]
    return [
        ["list of patches", f"SHA-256 {record['hash']}"],
        ["snapshot", record["snapshot"] or "none: what was in use"],
        ["query", f"`{made['where']}`" if made["where"] else "none: all that was in use"],
        ["gates", ", ".join(made["gates"]) or "none"],
        ["decisions", f"{decisions['verdicts']} verdicts held, SHA-256 {decisions['sha256']}"],
        ["splits", f"whole shots, those that show the same together; wanted: {shares}; seed {split['seed']}"],
        ["made by", f"dpedkit {record['dpedkit']}, layout {record['layout']}"],
    ]


def _photos(record: Json) -> list[str]:
    if not record["photos"]:
        return []
    told = "as the cameras gave them" if record["keep_private"] else "of whose EXIF orientation and exposure are left"
    return [f"{record['photos']} whole photos, {told}; `photos.jsonl` has a line for each.", ""]


def _private(record: Json) -> str:
    if record["keep_private"]:
        return (
            "Shots go by the names that their owner gave them, and serial numbers are told: think before handing it on."
        )
    return (
        "There are no places, no times, no serial numbers, no names of people and no maker notes in these files. Shots "
        "are numbered. The SHA-256 of a photo tells who has that very photo that it was used, and nothing to others."
    )


def _devices(devices: Mapping[str, Mapping[str, str]], *, serials: bool) -> tuple[list[str], list[list[str]]]:
    titles = ["device", "role", "model", *(["serial"] if serials else [])]
    rows = [
        [name, facts["role"], facts["model"] or "unknown", *([facts["serial"]] if serials else [])]
        for name, facts in devices.items()
    ]
    return titles, rows


def _left_out(left_out: Mapping[str, Mapping[str, int]]) -> list[str]:
    if not left_out:
        return []
    told = [f"{count} of {phone} in {split}" for phone, splits in left_out.items() for split, count in splits.items()]
    return [f"Left out, because this layout has no place for them: {_listed(told)}.", ""]


def _cells(counts: Mapping[str, int], splits: Sequence[str]) -> list[str]:
    return [str(counts.get(split, 0)) for split in splits]


def _table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return [_row(titles), "|" + "---|" * len(titles), *map(_row, rows), ""]


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
