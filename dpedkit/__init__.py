"""dpedkit: from the shutter to a trained photo enhancer."""

from importlib.metadata import version

__version__ = version("dpedkit")
