"""The DPED trainer: networks, losses, loop, metrics, enhancement."""

from dpedkit.train.enhance import enhance
from dpedkit.train.weights import load_generator

__all__ = ["enhance", "load_generator"]
