"""What is judged: the phone's own photos, fitted baselines, trained runs, and pictures that were made elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from dpedkit.db import Corpus
from dpedkit.errors import ImageError, UsageError
from dpedkit.images import PHOTO_SUFFIXES, read_meta, read_rgb
from dpedkit.progress import Progress
from dpedkit.settings import nearest
from dpedkit.stages.frames import rows
from dpedkit.stages.held_out import HeldOut
from dpedkit.stages.run_facts import read_config
from dpedkit.train import enhance, load_generator
from dpedkit.train.baselines import fit_gain_offset, fit_matrix_curve
from dpedkit.train.device import pick_device
from dpedkit.train.stamp import stamp
from dpedkit.train.weights import load_origin
from dpedkit.types import U8
from dpedkit.workspace import Workspace

Kind = Literal["phone", "baseline", "run", "external"]
PHONE, DSLR = "phone", "dslr"
BASELINES = ("gain and offset", "matrix and curve")  # as they call themselves
_IMPORTED_RECIPE = "dped"  # all that can be imported is what the authors' code trained


class Method(ABC):
    """Something that makes a better photo out of a phone's photo.

    note    "not for results" and the like
    recipe  of a run, else ""
    """

    def __init__(self, name: str, kind: Kind, note: str, recipe: str = "") -> None:
        self.name, self.kind, self.note, self.recipe = name, kind, note, recipe

    @abstractmethod
    def whole(self, photo: HeldOut) -> U8:
        """Return its version of the whole photo, uint8 [H, W, 3].

        Raises:
            ImageError: a picture that was made elsewhere is missing, unreadable or of another size.
        """

    @abstractmethod
    def patches(self, photo: HeldOut) -> U8:
        """Return its version of the photo's patches, each by itself if it can [N, S, S, 3]; raises as `whole` does."""


class Enhancing(Method):
    """A method that this program runs; `apply` takes and returns uint8 [H, W, 3] of any size."""

    def __init__(self, name: str, kind: Kind, apply: Callable[[U8], U8], note: str, recipe: str = "") -> None:
        super().__init__(name, kind, note, recipe)
        self._apply = apply

    def whole(self, photo: HeldOut) -> U8:
        """Enhance the photo."""
        return self._apply(photo.rgb)

    def patches(self, photo: HeldOut) -> U8:
        """Enhance each patch."""
        return np.stack([self._apply(patch) for patch in photo.phone])


class Elsewhere(Method):
    """Pictures in a folder, each named as the phone's photo that it was made of, with any of the usual endings.

    A picture is found by its photo's path below photos/ (SESSION/0001_sony), or by its name alone (0001_sony) if no
    other photo that is judged has the same.

    name    what the method is called
    folder  where they are; a photo's pictures of all phones may lie in one
    photos  workspace's folder of photos
    judged  the photos that are judged
    of_any  whether there is a picture of any of them
    """

    def __init__(self, name: str, folder: Path, photos: Path, judged: Sequence[Path]) -> None:
        super().__init__(name, "external", "made elsewhere, whole photos")
        self._photos = photos
        self._pictures: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file():
                self._pictures.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
        self.of_any = any(self._pictures.get(name) for path in judged for name in (self._full(path), path.stem))
        stems = [path.stem for path in judged]
        self._shared = {stem for stem in stems if stems.count(stem) > 1}

    def whole(self, photo: HeldOut) -> U8:
        """Read the picture of the photo."""
        if photo.path is None:
            raise ImageError(f"{photo.shot}: only patches were given, so no picture belongs to it")
        path = self._find(photo.path)
        meta, wanted = read_meta(path), read_meta(photo.path)
        if (meta.width, meta.height) != (wanted.width, wanted.height):
            raise ImageError(
                f"{path} is {meta.width} x {meta.height} px, its photo {wanted.width} x {wanted.height}",
                "make it again in the photo's own size",
            )
        return read_rgb(path, limit_px=photo.limit_px)

    def patches(self, photo: HeldOut) -> U8:
        """Cut the picture where the patches lie: what made it saw the whole photo."""
        return photo.cut(self.whole(photo))

    def _find(self, photo: Path) -> Path:
        full = self._full(photo)
        found = self._pictures.get(full) or self._pictures.get(photo.stem, [])
        if not found:
            raise ImageError(f"{self.name}: no picture of {full}", f"name it {full} or {photo.stem}, and .jpg or .png")
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise ImageError(f"{self.name}: {len(found)} pictures of {full}: {names}", "leave one of them there")
        if full not in self._pictures and photo.stem in self._shared:
            raise ImageError(
                f"{self.name}: {found[0].name} may be of more than one photo", f"put it where its photo lies: {full}"
            )
        return found[0]

    def _full(self, photo: Path) -> str:
        return photo.relative_to(self._photos).with_suffix("").as_posix()


def all_methods(
    workspace: Workspace,
    corpus: Corpus,
    phone: str,
    judged: Sequence[Path],
    progress: Progress,
    *,
    runs: Sequence[str],
    externals: Sequence[tuple[str, Path]],
    device: str,
) -> list[Method]:
    """Return what is judged on a phone's photos: its own first, then baselines, runs, pictures made elsewhere.

    judged     the files of the photos
    runs       those to judge, finished or not, and models that were imported; empty: all runs that are finished
    externals  name and folder of pictures that were made elsewhere

    Raises:
        UsageError: there is no such run or model, the name of pictures is taken, or their folder is not there.
        WeightsError: a run has no checkpoint that can be read.
        TrainError: no such device.
    """
    always = [_own(), *_baselines(corpus, phone)]
    _refuse_names(workspace, corpus, [method.name for method in always], runs, externals)
    return [
        *always,
        *_trained(workspace, corpus, phone, device, progress, runs),
        *_elsewhere(workspace, phone, judged, externals, progress),
    ]


def runs_of(
    workspace: Workspace, corpus: Corpus, phone: str, progress: Progress, *, runs: Sequence[str], device: str
) -> list[Method]:
    """Return a phone's runs alone; which, and what is raised, as `all_methods` has it.

    Raises:
        UsageError: one of those that were named is of another phone.
    """
    _refuse_names(workspace, corpus, [], runs, [])
    found = list(_trained(workspace, corpus, phone, device, progress, runs))
    if missing := [run for run in runs if run not in [method.name for method in found]]:
        raise UsageError(
            f"{', '.join(missing)}: no run of {phone} that is there", "name runs that were trained for this phone"
        )
    return found


def find_methods(
    workspace: Workspace, corpus: Corpus, phone: str, names: Sequence[str], externals: Sequence[tuple[str, Path]]
) -> list[str]:
    """Return the methods that names stand for: their own names, or "dped" for the run "sony-dped" of the phone sony.

    Raises:
        UsageError: nothing is called so, or it is of another phone; and as `all_methods` has it of externals.
    """
    _refuse_names(workspace, corpus, [PHONE, DSLR, *BASELINES], [], externals)
    trained = corpus.runs()
    of_phone = {str(run.run): str(run.phone) for run in rows(trained)}
    mine = [run for run, its in of_phone.items() if its == phone]
    known = [
        PHONE,
        *mine,
        *workspace.imported_models(set(of_phone)),
        *(name for name, _ in externals),
        *BASELINES,
        DSLR,
    ]
    shorter = {run.removeprefix(f"{phone}-"): run for run in mine}
    found = [name if name in known else shorter.get(name, name) for name in names]
    for name in found:
        there = f"there are: {', '.join(known)}"
        if name not in known and name in of_phone:
            raise UsageError(f"{name} is a run of {of_phone[name]}, not of {phone}", there)
        if name not in known:
            raise UsageError(f"no method {name!r}{nearest(name, [*known, *shorter])}", there)
    return found


def named_methods(
    workspace: Workspace,
    corpus: Corpus,
    phone: str,
    judged: Sequence[Path],
    progress: Progress,
    *,
    names: Sequence[str] | None,
    externals: Sequence[tuple[str, Path]],
    device: str,
) -> list[Method]:
    """Return the methods that `find_methods` found, in their order; no others are fitted or loaded.

    names  None: the phone's photo, finished runs and pictures made elsewhere

    Raises:
        UsageError: nothing of a method is there for these photos.
        WeightsError: a run has no checkpoint that can be read.
        TrainError: no such device.
    """
    every = corpus.runs()["run"]
    models = {*every, *workspace.imported_models(set(every))}
    runs = [name for name in names or () if name in models]
    elsewhere = [(name, folder) for name, folder in externals if names is None or name in names]
    found: list[Method] = [_own()]
    found += _baselines(corpus, phone) if names and set(names) & set(BASELINES) else []
    found += _trained(workspace, corpus, phone, device, progress, runs) if runs or names is None else []
    found += _elsewhere(workspace, phone, judged, elsewhere, progress)
    if names is None:
        return found
    by_name = {method.name: method for method in found}
    for name in names:
        if name not in by_name:
            raise UsageError(
                f"{name}: nothing of it is there for these photos of {phone}",
                "leave it out; pictures are named as the phone's photos that they were made of",
            )
    return [by_name[name] for name in names]


def _own() -> Enhancing:
    return Enhancing(PHONE, "phone", lambda rgb: rgb, "its own photo")


def _baselines(corpus: Corpus, phone: str) -> Iterator[Enhancing]:
    """Fit the colour baselines on the phone's training patches."""
    training = corpus.pair_source(phone, "train")
    for fit in (fit_gain_offset, fit_matrix_curve):
        baseline = fit(training)
        yield Enhancing(baseline.name, "baseline", baseline, "fitted on the training split")


def _trained(
    workspace: Workspace, corpus: Corpus, phone: str, device: str, progress: Progress, only: Sequence[str]
) -> Iterator[Method]:
    place = pick_device(device)

    def network(name: str, note: str, recipe: str) -> Enhancing:
        apply = partial(enhance, load_generator(workspace.runs / name), device=place)
        return Enhancing(name, "run", apply, note, recipe)

    runs = corpus.runs()
    for run in rows(runs[runs["phone"] == phone]):
        if run.run not in only if only else run.status != "done":
            continue
        if not (workspace.runs / run.run).is_dir():  # runs are large, and people make room
            progress.say(f"run {run.run}: its folder is gone, so it is left out")
            continue
        note = stamp(run.config or read_config(workspace.runs / run.run))  # the corpus has a finished run's config
        yield network(run.run, note, run.recipe)
    for name in sorted(set(workspace.imported_models(set(runs["run"]))) & set(only)):  # of any phone, so by name only
        yield network(name, load_origin(workspace.runs / name), _IMPORTED_RECIPE)


def _elsewhere(
    workspace: Workspace, phone: str, judged: Sequence[Path], externals: Sequence[tuple[str, Path]], progress: Progress
) -> Iterator[Elsewhere]:
    for name, folder in externals:
        method = Elsewhere(name, folder, workspace.photos, judged)
        if method.of_any:
            yield method
        else:
            progress.say(f"{name}: no picture of any photo of {phone}, so it is left out there")


def _refuse_names(
    workspace: Workspace,
    corpus: Corpus,
    always: Sequence[str],
    runs: Sequence[str],
    externals: Sequence[tuple[str, Path]],
) -> None:
    trained = list(corpus.runs()["run"])
    known = [*trained, *workspace.imported_models(set(trained))]
    for run in runs:
        if run not in known:
            raise UsageError(f"no run {run!r}", f"runs: {', '.join(known) or 'none: `dpedkit train` makes one'}")
    taken = {*always, *known}
    for name, folder in externals:
        if name in taken:
            raise UsageError(f"--external {name}=...: another method has that name", "give it a name of its own")
        if not folder.is_dir():
            raise UsageError(f"--external {name}={folder}: no such folder", "give the folder of the pictures")
        taken.add(name)
