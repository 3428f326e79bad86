"""The networks that recipes name, and DPED's discriminator."""

from __future__ import annotations

from collections.abc import Mapping

from dpedkit.train.networks.csrnet import Csrnet
from dpedkit.train.networks.discriminator import Discriminator, to_gray
from dpedkit.train.networks.dped import Block, Generator, mix_colours, start_from_photo
from dpedkit.train.networks.enhancer import Enhancer
from dpedkit.train.networks.layers import InstanceNorm, SameConv, initialise
from dpedkit.train.networks.nafnet import Nafnet
from dpedkit.train.networks.srcnn import Srcnn

__all__ = [
    "ENHANCERS",
    "Block",
    "Csrnet",
    "Discriminator",
    "Enhancer",
    "Generator",
    "InstanceNorm",
    "Nafnet",
    "SameConv",
    "Srcnn",
    "initialise",
    "mix_colours",
    "start_from_photo",
    "to_gray",
]

ENHANCERS: Mapping[str, type[Enhancer]] = {network.kind: network for network in (Generator, Srcnn, Nafnet, Csrnet)}
"""Every architecture by the name that `[generator] kind` gives it in a recipe."""
