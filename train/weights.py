"""Generators as files: written and read as safetensors, or read from the authors' TensorFlow checkpoints.

A file holds tensors "generator.<name>" and, under the metadata key "dpedkit", JSON with at least
{"format": 1, "generator": {"kind": "dped", "width": 64, "blocks": 4}}; without a kind it is DPED's. Training
checkpoints hold more of both, and "ema.<name>" where the running mean of the weights is the generator that counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dpedkit.errors import WeightsError
from dpedkit.files import write_atomic
from dpedkit.train.networks import ENHANCERS, Enhancer
from dpedkit.train.stamp import stamp
from dpedkit.train.tf_checkpoint import checkpoint_prefix, load_tf_generator
from dpedkit.types import Json

FORMAT = 1
RUN_CHECKPOINTS = ("best.safetensors", "last.safetensors")  # in a run's folder, the preferred one first
EMA = "ema."
_PREFIX = "generator."
_SUFFIX = ".safetensors"


def load_generator(path: str | Path) -> Enhancer:
    """Return the generator that `path` names, on the CPU, ready to enhance.

    path  a training run's folder (its best checkpoint, else its last), a .safetensors file, or a TensorFlow
          checkpoint's prefix such as models_orig/iphone_orig, or one of its files

    Raises:
        WeightsError: nothing of these kinds is there, or the file is truncated, corrupt or foreign.
    """
    found = find_generator(path)
    return read_generator(found) if found.suffix == _SUFFIX else load_tf_generator(found)


def load_stamp(path: str | Path) -> str:
    """Return what must stand beside whatever the generator that `path` names makes; "" where nothing must.

    path  as `load_generator` takes it; raises as that does
    """
    return _told(path, lambda meta: stamp(meta.get("config", {})))


def load_origin(path: str | Path) -> str:
    """Return what `dpedkit import-weights` knows of the generator that `path` names; "" of one that it did not bring.

    path  as `load_generator` takes it; raises as that does
    """
    return _told(path, lambda meta: str(meta.get("source", {}).get("origin", "")))


def _told(path: str | Path, read: Callable[[Json], str]) -> str:
    """Return what is read of a checkpoint's metadata; "" of a TensorFlow checkpoint, which has none."""
    found = find_generator(path)
    if found.suffix != _SUFFIX:
        return ""
    with _opened(found) as file:
        return read(parse_meta(file.metadata()))


def find_generator(path: str | Path) -> Path:
    """Return the .safetensors file, or the prefix of the TensorFlow checkpoint, that `load_generator` would read.

    Raises:
        WeightsError: nothing of these kinds is there.
    """
    path = Path(path)
    for candidate in (path / name for name in RUN_CHECKPOINTS):
        if candidate.is_file():
            return candidate
    if path.suffix == _SUFFIX:
        return path
    if (prefix := checkpoint_prefix(path)) is not None:
        return prefix
    raise WeightsError(
        f"no generator at {path}: {'a folder without checkpoints' if path.is_dir() else 'nothing of that name'}",
        "give a run's folder, a .safetensors checkpoint, or the prefix of a TensorFlow checkpoint (PREFIX.index)",
    )


def save_generator(path: Path, generator: Enhancer, meta: Json) -> None:
    """Write the generator and what is to be known about it, whole or not at all.

    meta  JSON-compatible; its keys "format" and "generator" are set here
    """
    described = {**meta, **describe(generator)}
    write_atomic(path, save(generator_tensors(generator), {"dpedkit": json.dumps(described)}))


def describe(generator: Enhancer) -> Json:
    """Return what a checkpoint's metadata must say for `read_generator` to rebuild the generator."""
    return {"format": FORMAT, "generator": {"kind": generator.kind, **generator.sizes}}


def generator_tensors(generator: Enhancer) -> dict[str, Tensor]:
    """Return the generator's weights under the names they have in a checkpoint."""
    return {f"{_PREFIX}{name}": weight.contiguous() for name, weight in generator.state_dict().items()}


def read_generator(path: Path) -> Enhancer:
    """Return the generator of a .safetensors checkpoint; see `load_generator`."""
    with _opened(path) as file:
        meta = parse_meta(file.metadata())
        names = file.keys()
        prefix = EMA if any(name.startswith(EMA) for name in names) else _PREFIX
        state = {name.removeprefix(prefix): file.get_tensor(name) for name in names if name.startswith(prefix)}
        sizes = dict(meta["generator"])
        return ENHANCERS[sizes.pop("kind", "dped")].from_state(state, sizes)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a .safetensors checkpoint; what goes wrong with it becomes an error that names it."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}", "check the path and its rights"
        ) from error
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WeightsError(
            f"{path} is not a whole dpedkit checkpoint: {str(error).splitlines()[0]}",
            "copy it again from its run, or give another checkpoint of that run",
        ) from error


def parse_meta(metadata: dict[str, str] | None) -> Json:
    """Return what a checkpoint says about itself.

    Raises:
        ValueError: it is not dpedkit's, or of a later format.
    """
    if not metadata or "dpedkit" not in metadata:
        raise ValueError("it was not written by dpedkit")
    meta = json.loads(metadata["dpedkit"])
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ValueError(f"it has another format than {FORMAT}, or none")
    return meta
