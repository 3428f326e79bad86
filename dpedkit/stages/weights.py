"""Generators that come from elsewhere, and go elsewhere: the authors' checkpoints in, ONNX out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dpedkit.errors import UsageError, WeightsError
from dpedkit.files import sha256_file, storage_error
from dpedkit.progress import Progress
from dpedkit.train import load_generator
from dpedkit.train.tf_checkpoint import checkpoint_files, checkpoint_prefix, load_tf_generator
from dpedkit.train.weights import RUN_CHECKPOINTS, find_generator, load_stamp, save_generator
from dpedkit.workspace import Workspace

_ABOUT = "Enhances photos: RGB in [0, 1]. What comes out may leave that range a little: clip it."
_PUBLISHED = {  # SHA-256 of the data files that the authors published (github.com/aiff22/DPED, models_orig)
    "ec3332ae3e03d4317fd4c88e3f1885c5df8722f34d4142ec8f77025c8b3add82": "BlackBerry",
    "9d289d0914ae0f41ded639e6282e6710ebb79ab8dc23865198c2748d7dc083fc": "iPhone",
    "6338ab1c409a67c99ad5da416051887a63b576c351d8447741c8d378671e3ab8": "Sony",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A generator that was brought in.

    file        where it is now
    origin      what it is, in words
    files       the files it came in -> their SHA-256
    parameters  how many numbers it holds
    """

    file: str
    origin: str
    files: dict[str, str]
    kind: str
    parameters: int


def place_in_runs(workspace: Workspace, checkpoint: Path, name: str) -> Path:
    """Return the file that makes a checkpoint a model of the workspace, by which `enhance --model NAME` finds it.

    name  "": the checkpoint's own

    Raises:
        UsageError: no such name can be, or a training run has it.
    """
    name = name or (checkpoint_prefix(checkpoint) or checkpoint).name
    if name in ("", ".", "..") or Path(name).name != name:
        raise UsageError(f"{name!r} is no name for a model", "give one, such as --name iphone_orig")
    run, (best, last) = workspace.runs / name, RUN_CHECKPOINTS
    if (run / last).exists():
        raise UsageError(f"{name} is a training run of this workspace", "give another name with --name")
    return run / best


def import_weights(checkpoint: Path, target: Path, *, overwrite: bool, dry_run: bool) -> Imported:
    """Write the generator of a TensorFlow checkpoint, and where it came from, to a .safetensors file.

    checkpoint  its prefix, or one of its files

    Raises:
        UsageError: the file is there already, or is not named .safetensors.
        WeightsError: the checkpoint is missing, corrupt or foreign.
        StorageError: the disk is full, or the folder cannot be written.
    """
    _refuse_existing(target, ".safetensors", overwrite=overwrite)
    prefix = checkpoint_prefix(checkpoint)
    if prefix is None:
        raise WeightsError(
            f"no TensorFlow checkpoint at {checkpoint}: there is no {checkpoint.name}.index",
            "give the prefix of a checkpoint's two files, PREFIX.index and PREFIX.data-00000-of-00001",
        )
    generator = load_tf_generator(prefix)
    files = {path.name: sha256_file(path) for path in checkpoint_files(prefix)}
    phones = [_PUBLISHED[digest] for digest in files.values() if digest in _PUBLISHED]
    origin = f"the authors' weights for {phones[0]}" if phones else "weights that the authors' code saved"
    count = sum(weight.numel() for weight in generator.parameters())
    if not dry_run:
        _make_folder(target)
        save_generator(target, generator, {"source": {"origin": origin, "files": files}})
    return Imported(str(target), origin, files, generator.kind, count)


@dataclass(frozen=True, slots=True)
class Exported:
    """A generator that was written as ONNX.

    difference  greatest between ONNX Runtime's and PyTorch's pictures, in [0, 1]; None: nothing was written
    metadata    what the file says of itself
    """

    file: str
    difference: float | None
    metadata: dict[str, str]
    stamp: str


def export_onnx(model: Path, target: Path, *, overwrite: bool, dry_run: bool, progress: Progress) -> Exported:
    """Write a generator as an ONNX file for any size, and check it with ONNX Runtime.

    model  as `load_generator` takes it

    Raises:
        UsageError: the file is there already, or is not named .onnx.
        WeightsError: the model is missing, corrupt or foreign.
        TrainError: ONNX Runtime makes other pictures of it.
        StorageError: the disk is full, or the folder cannot be written.
    """
    from dpedkit.train.onnx_export import export_onnx as write  # of an extra of its own

    _refuse_existing(target, ".onnx", overwrite=overwrite)
    generator, stamp = load_generator(model), load_stamp(model)
    source = find_generator(model)
    if source.suffix != ".safetensors":
        source = checkpoint_files(source)[-1]
    metadata = {
        "network": generator.kind,
        "sizes": json.dumps(generator.sizes),
        "source": f"{source.parent.name}/{source.name}",
        "sha256": sha256_file(source),
        "stamp": stamp,
        "dpedkit": version("dpedkit"),
    }
    difference = None
    if not dry_run:
        _make_folder(target)
        progress.start(f"export {target.name}", 1)
        difference = write(generator, target, metadata, f"{_ABOUT} {stamp}".strip())
        progress.done(f"checked at two sizes: {difference:.1e}")
    return Exported(str(target), difference, metadata, stamp)


def _refuse_existing(target: Path, suffix: str, *, overwrite: bool) -> None:
    if target.suffix != suffix:
        raise UsageError(f"{target} does not end with {suffix}", f"write -o {target}{suffix}")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} is there already", "--overwrite replaces it")


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, target) from error
