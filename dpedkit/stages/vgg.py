"""What the content loss must weigh under other VGG-19 weights, so that it counts as much as before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpedkit.db import open_corpus, using_shards
from dpedkit.errors import NoPatches, RecipeError, WeightsError
from dpedkit.progress import Progress
from dpedkit.train import load_recipe
from dpedkit.train.content_scale import content_losses, made_pairs
from dpedkit.train.device import pick_device
from dpedkit.train.vgg import Vgg19, load_vgg
from dpedkit.types import U8
from dpedkit.workspace import Workspace

_PER_PHONE = 32


@dataclass(frozen=True, slots=True)
class ContentScale:
    """How the content loss's weight carries over from one weight file to another.

    k            what its weight is to be multiplied with: mean loss under `from_name` over that under `to_name`
    low, high    quartiles of the same for the pairs one by one
    content      the recipe's weight times k
    pairs, of    how many pairs it was measured on, and what they are
    stamp        "not for results" and why, where it is so
    """

    k: float
    low: float
    high: float
    recipe: str
    content: float
    pairs: int
    of: str
    from_name: str
    from_sha256: str
    to_name: str
    to_sha256: str
    stamp: str


def calibrate_content(
    workspace: Workspace | None,
    *,
    phones: Sequence[str],
    from_spec: str,
    to_spec: str,
    recipe_name: str,
    device: str,
    progress: Progress,
) -> ContentScale:
    """Measure both files' content loss on the same pairs.

    workspace         whose training patches are taken; None, or one without any: pairs that are drawn by code
    phones            whose patches; empty: every phone's
    from_spec, to_spec  see `load_vgg`

    Raises:
        RecipeError: no such recipe, or it has no content loss.
        WeightsError: a file is missing or corrupt, or sees no difference between the pairs.
        NoPatches: a phone that was asked for has none.
    """
    recipe, place = load_recipe(recipe_name), pick_device(device)
    if not recipe.losses.content:
        raise RecipeError(f"recipe {recipe.name} has no content loss", "name one that has, such as --recipe dped")
    phone, dslr, of = _pairs(workspace, phones)
    progress.start("calibrate VGG", 2)
    networks: list[Vgg19] = []
    losses = []
    for spec in (from_spec, to_spec):
        networks.append(load_vgg(spec))
        losses.append(content_losses(networks[-1], phone, dslr, place))
        if not losses[-1].all() or not np.isfinite(losses[-1]).all():
            raise WeightsError(f"{spec} tells no difference between the pictures of a pair", "give other weights")
        progress.advance(note=networks[-1].name)
    progress.done(f"{len(phone)} pairs")
    before, after = networks
    low, high = np.quantile(losses[0] / losses[1], [0.25, 0.75]).tolist()
    k = float(losses[0].mean() / losses[1].mean())
    random = [network.name for network in networks if not network.for_results]
    return ContentScale(
        k, low, high, recipe.name, recipe.losses.content * k, len(phone), of,
        before.name, before.sha256, after.name, after.sha256,
        f"not for results: measured with {', '.join(random)}" if random else "",
    )  # fmt: skip


def _pairs(workspace: Workspace | None, phones: Sequence[str]) -> tuple[U8, U8, str]:
    """Return phone and DSLR patches [N, S, S, 3], and what they are."""
    if workspace is not None:
        with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
            patches = corpus.patches()
            there = sorted(set(patches[patches["keep"] & (patches["split"] == "train")]["phone"]))
            if missing := sorted(set(phones) - set(there)):
                raise NoPatches(missing[0], "train")
            if chosen := list(phones) or there:
                found = []
                for name in chosen:
                    source = corpus.pair_source(name, "train")
                    rows = np.unique(np.linspace(0, len(source) - 1, _PER_PHONE).astype(np.int64))
                    found.append(source.read_batch(rows))
                phone, dslr = (np.concatenate(stack) for stack in zip(*found, strict=True))
                return phone, dslr, f"training patches of {', '.join(chosen)}"
    return *made_pairs(), "pairs drawn by code"
