"""One file per layout that patches are handed on in, found by the name that `dpedkit export` calls it.

Another package adds a layout with an entry point in the group "dpedkit.exporters":

    [project.entry-points."dpedkit.exporters"]
    pix2pix = "my_package.pix2pix:Pix2Pix"

Its class is a `dpedkit.db.exporters.exporter.Exporter`. Listing the names imports nothing.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from dpedkit.db.exporters.exporter import Exporter
from dpedkit.errors import UsageError
from dpedkit.settings import nearest

ENTRY_POINTS = "dpedkit.exporters"
EXPORTERS = MappingProxyType(
    {
        "basicsr": "dpedkit.db.exporters.basicsr:BasicSR",
        "dped": "dpedkit.db.exporters.dped:Dped",
        "hf": "dpedkit.db.exporters.hf:ImageFolder",
        "webdataset": "dpedkit.db.exporters.webdataset:WebDataset",
    }
)


def exporters() -> dict[str, str]:
    """Return the layouts there are, dpedkit's own and those of installed packages: name -> "module:Class"."""
    return {point.name: point.value for point in entry_points(group=ENTRY_POINTS)} | dict(EXPORTERS)


def find_exporter(name: str) -> Exporter:
    """Return a layout by its name.

    Raises:
        UsageError: there is none of this name, and the message names the nearest; or a package it stands on is missing.
    """
    known = exporters()
    if name not in known:
        raise UsageError(f"no layout {name!r}{nearest(name, known)}", f"layouts here: {', '.join(sorted(known))}")
    try:
        made: Exporter = EntryPoint(name=name, value=known[name], group=ENTRY_POINTS).load()()
    except ModuleNotFoundError as error:
        raise UsageError(f"layout {name!r} needs the package {error.name!r}", f"pip install {error.name}") from error
    return made
