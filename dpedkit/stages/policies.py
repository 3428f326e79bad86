"""Policies: which patches are kept. A named, versioned TOML file each; a verdict carries its policy's name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import Field, FiniteFloat, field_validator

from dpedkit.align import Gates
from dpedkit.errors import SettingsError
from dpedkit.settings import Table, check, nearest, read_toml
from dpedkit.workspace import Workspace

_SHIPPED = Path(__file__).with_name("gates")
_LIMITS = [field.name for field in fields(Gates)]


class PolicyFile(Table):
    """A policy as it stands in its file.

    version  raised by whoever changes a limit
    purpose  a line of what it is for
    limits   a limit that is left out does not hold any patch back
    """

    version: int = Field(ge=1)
    purpose: str
    limits: dict[str, FiniteFloat]

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: dict[str, float]) -> dict[str, float]:
        for name in limits:
            if name not in _LIMITS:
                raise ValueError(f"unknown limit {name!r}{nearest(name, _LIMITS)}; known: {', '.join(_LIMITS)}")
        return limits


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, by the name of its file."""

    name: str
    version: int
    purpose: str
    gates: Gates

    @property
    def limits(self) -> dict[str, float]:
        """The limits that it sets."""
        found = {name: getattr(self.gates, name) for name in _LIMITS}
        return {name: limit for name, limit in found.items() if limit is not None}

    @property
    def identity(self) -> str:
        """NAME@VERSION#HASH, the hash standing for the limits: what a verdict is marked with."""
        digest = hashlib.sha256(repr(sorted(self.limits.items())).encode()).hexdigest()
        return f"{self.name}@{self.version}#{digest[:8]}"

    def clashes(self, verdicts: Iterable[str]) -> bool:
        """Whether verdicts under its name and version, by their identities, were made with other limits."""
        own = self.identity.partition("#")[0]
        return any(found != self.identity and found.partition("#")[0] == own for found in verdicts)


def load_policy(workspace: Workspace, name_or_file: str) -> Policy:
    """Return a policy by its name (dpedkit's or the workspace's own), or from a .toml file.

    Raises:
        SettingsError: no such policy, a file that does not hold one, or one that has the name of dpedkit's own.
    """
    if name_or_file.endswith(".toml"):
        return _read(Path(name_or_file))
    known = {policy.name: policy for policy in policies(workspace)}
    if name_or_file not in known:
        raise SettingsError(
            f"no gates {name_or_file!r}{nearest(name_or_file, known)}",
            f"gates: {', '.join(known)}; or give the path of a .toml file",
        )
    return known[name_or_file]


def policies(workspace: Workspace) -> list[Policy]:
    """Return dpedkit's own policies, then the workspace's, each by name; raises as `load_policy`."""
    return [_read(path) for folder in (_SHIPPED, workspace.gates) for path in sorted(folder.glob("*.toml"))]


def _read(path: Path) -> Policy:
    if path.parent != _SHIPPED and (_SHIPPED / path.name).exists():
        raise SettingsError(f"{path} has the name of gates that come with dpedkit", "give the file another name")
    found = check(PolicyFile, read_toml(path), str(path))
    limits = {name: found.limits.get(name) for name in _LIMITS}
    return Policy(path.stem, found.version, found.purpose, Gates(**limits))
