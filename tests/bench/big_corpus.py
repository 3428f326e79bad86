"""A corpus with the index of years of shooting: 5,500 shots of a DSLR and three phones, 500,000 patches, no pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from dpedkit.db import Corpus, open_corpus
from dpedkit.db.engine import make_engine, writing
from dpedkit.db.schema import Alignment, Base, Device, Patch, Photo, Session, Shard, Shot, Split
from dpedkit.types import F64

SHOTS = 5_500
PHONES = ("sony", "blackberry", "iphone")
PATCHES = 500_000
PER_SESSION = 50
RESIDUALS = ("shift_px", "shift_x_px", "shift_y_px", "rotation_deg", "local_shift_px", "crlb_px")
NEAR_ONE = ("gain_red", "gain_green", "gain_blue")
OTHERS = ("offset_red", "offset_green", "offset_blue", "sharpness_phone", "sharpness_dslr", "std", "confidence")


def big_corpus(root: Path, shots: int = SHOTS, patches: int = PATCHES, seed: int = 0) -> Corpus:
    """Write such a corpus into `root` and return it, open."""
    corpus = open_corpus(root)
    rng = np.random.default_rng(seed)
    engine = make_engine("sqlite:///corpus.db", root)
    with writing(engine) as connection:
        for table, rows in _rows(shots, patches, rng):
            connection.execute(insert(table), rows)
    engine.dispose()
    return corpus


def sha(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()


def _rows(shots: int, patches: int, rng: np.random.Generator) -> list[tuple[type[Base], list[dict[str, Any]]]]:
    devices = ["canon", *PHONES]
    sessions = range(-(-shots // PER_SESSION))
    keys = [f"s{number // PER_SESSION:04d}/{number % PER_SESSION + 1:04d}" for number in range(shots)]
    pairs = [(shot, phone) for shot in range(shots) for phone in range(len(PHONES))]
    per_pair = np.bincount(rng.integers(0, len(pairs), patches), minlength=len(pairs))
    splits = rng.choice(["train", "val", "test"], shots, p=[0.7, 0.1, 0.2])
    residuals = rng.gamma(2, 0.02, len(pairs))
    return [
        (Device, [_device(number, name) for number, name in enumerate(devices, 1)]),
        (
            Session,
            [{"id": n + 1, "name": f"s{n:04d}", "rig": "tripod", "started_ns": n, "settings": {}} for n in sessions],
        ),
        (Shot, [_shot(number, key) for number, key in enumerate(keys)]),
        (Split, [{"shot_id": n + 1, "split": str(split), "seed": 0} for n, split in enumerate(splits)]),
        (Photo, [_photo(n, key, d, devices, rng) for n, key in enumerate(keys) for d in range(len(devices))]),
        (Shard, [{"id": number + 1, "name": f"{sha('shard', number)}.npy"} for number in range(len(pairs))]),
        (Alignment, [_alignment(number, *pair, residuals[number]) for number, pair in enumerate(pairs)]),
        (Patch, _patches(per_pair, rng)),
    ]


def _device(number: int, name: str) -> dict[str, Any]:
    role = "dslr" if name == "canon" else "phone"
    return {"id": number, "name": name, "role": role, "model": name.title(), "serial": str(number)}


def _session(number: int) -> dict[str, Any]:
    return {"id": number + 1, "name": f"s{number:04d}", "rig": "tripod", "started_ns": number, "settings": {}}


def _shot(number: int, key: str) -> dict[str, Any]:
    return {
        "id": number + 1,
        "key": key,
        "session_id": number // PER_SESSION + 1,
        "number": number % PER_SESSION + 1,
        "scene": ("street", "park", "harbour", "")[number % 4],
        "scheduled_ns": number,
        "status": "complete",
        "reason": "",
        "skew_ns": 1_000_000 + number,
        "skew_bound_ns": 100_000,
        "flags": [],
        "devices": {},
    }


def _photo(shot: int, key: str, device: int, devices: list[str], rng: np.random.Generator) -> dict[str, Any]:
    return {
        "id": shot * len(devices) + device + 1,
        "shot_id": shot + 1,
        "device_id": device + 1,
        "sha256": sha("photo", shot, device),
        "path": f"photos/{key}_{devices[device]}.jpg",
        "format": "jpg",
        "size_bytes": 4_000_000,
        "width": 4128,
        "height": 3096,
        "device_path": "",
        "taken_at": "",
        "exposure_s": 0.01,
        "iso": 100.0,
        "sharpness": float(rng.gamma(3, 2)),
        "clipped": float(rng.beta(1, 50)),
        "noise": float(rng.gamma(4, 0.5)),
    }


def _alignment(number: int, shot: int, phone: int, residual_px: float) -> dict[str, Any]:
    photos = shot * (1 + len(PHONES)) + 1
    return {
        "id": number + 1,
        "key": sha("alignment", number),
        "phone_photo_id": photos + 1 + phone,
        "dslr_photo_id": photos,
        "current": True,
        "version": "3",
        "status": "aligned",
        "reason": "",
        "model": {"homography": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]},
        "residual_px": float(residual_px),
        "residual_p95_px": float(3 * residual_px),
        "inliers": 900,
        "overlap": 0.9,
        "mode": "field",
        "trusted_share": 0.95,
        "patches_key": "cut",
        "gates": "default@2#58c1d36b",
        "sharpness_ratio": 1.0 + 10 * float(residual_px),
    }


def _patches(per_pair: F64, rng: np.random.Generator) -> list[dict[str, Any]]:
    count = int(per_pair.sum())
    numbers = {
        "ncc": rng.beta(20, 2, count),
        "clipped": rng.beta(1, 100, count),
        **{name: rng.gamma(2, 0.05, count) for name in RESIDUALS},
        **{name: rng.normal(1, 0.1, count) for name in NEAR_ONE},
        **{name: rng.gamma(3, 5, count) for name in OTHERS},
    }
    columns = {name: values.tolist() for name, values in numbers.items()}
    keep = (rng.random(count) < 0.68).tolist()
    rows: list[dict[str, Any]] = []
    number = 0
    for alignment, patches in enumerate(per_pair.tolist(), 1):
        for row in range(patches):
            rows.append(
                {
                    "id": number + 1,
                    "key": sha("patch", alignment, row),
                    "alignment_id": alignment,
                    "shard_id": alignment,
                    "row": row,
                    "x": 100 * (row % 40),
                    "y": 100 * (row // 40),
                    "size": 100,
                    "match": "none",
                    "keep": keep[number],
                    "reason": "" if keep[number] else "unlike",
                }
                | {name: values[number] for name, values in columns.items()}
            )
            number += 1
    return rows
