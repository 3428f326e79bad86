"""Every error dpedkit raises on purpose, and the exit code each ends a command with.

    DpedError                     1
    ├── UsageError                2   the command or a settings file asks for something that cannot be
    │   ├── NoWorkspace           2
    │   ├── SettingsError         2
    │   ├── RecipeError           2
    │   └── QueryError            2
    ├── ImageError                1   a photo that cannot be read or written
    │   ├── ImageTooLarge         1
    │   └── OutOfMemory           1   ... or worked on, with the memory there is
    ├── CorpusError               1   the index and the files do not hold what a stage needs
    │   ├── KnownPhoto            1   a photo that the corpus holds in another place already
    │   └── NoPatches             1   a phone has no patches in use in a split
    ├── StorageError              1   full disk, missing rights, a lock held by someone else
    ├── QueueFull                 1   a page has as many photos to enhance as it takes
    ├── PairRejected              1   two photos that do not show the same scene well enough
    ├── TrainError                1   a run that cannot start or has gone wrong
    │   └── WeightsError          1   a weight file that is missing, foreign or corrupt
    ├── StudyError                1   a preference study's plan or answers do not allow it
    │   ├── UnknownCode           1   no subject has this code
    │   └── AnswerRefused         1   this place was answered otherwise, or is not next
    ├── WorkerDied                1   a native library took its worker process down
    ├── ClusterError              1   a Dask cluster that does not answer, has no workers or has the wrong ones
    ├── MissingExtra              1   an optional package is not installed
    └── CameraError               4   a device is missing or failed
        ├── CameraNotFound        4
        ├── CameraTimeout         4
        └── PullFailed            4   a photo could not be brought over whole

Every error carries one line of cause and one line of remedy; dpedkit.cli turns it into text in one place.
"""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """Return text on one line that does nothing to a terminal: line ends, escapes, turns of direction spelt out."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


class DpedError(Exception):
    """Something dpedkit can explain.

    cause   one line: the thing, and what was found; what cannot be printed, of a file's name perhaps, is escaped in it
    remedy  one line: what to do next; empty where nothing can be done
    """

    exit_code = 1

    def __init__(self, cause: str, remedy: str = "") -> None:
        cause, remedy = printable(cause), printable(remedy)
        super().__init__(cause, remedy)  # both in args, so that it survives pickling out of a worker
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause}\n{self.remedy}" if self.remedy else self.cause


class UsageError(DpedError):
    """The command or a settings file asks for something that cannot be."""

    exit_code = 2


class NoWorkspace(UsageError):
    """No dpedkit.toml here or above."""


class SettingsError(UsageError):
    """A TOML file holds a wrong key or value."""


class RecipeError(UsageError):
    """No such recipe, or a recipe that does not hold together."""


class QueryError(UsageError):
    """A query that cannot be read, or asks for what is not there.

    problem  one line: what is wrong
    query    the text
    at       which of its characters is meant; its length: the end
    """

    def __init__(self, problem: str, query: str, at: int, remedy: str = "") -> None:
        before = query[:at][-12:]
        place = f"after {before!r}" if before.strip() else "at the beginning"
        super().__init__(
            f"{problem} (character {at + 1}, {place})",
            remedy or "docs/corpus.md has the language; `dpedkit query pairs --list-columns` has the columns",
        )
        self.args = (problem, query, at, remedy)
        self.problem, self.query, self.at = problem, query, at

    @property
    def pointed(self) -> str:
        """The line of the query that is meant, and under it a caret at the character."""
        start = self.query.rfind("\n", 0, self.at) + 1
        line = self.query[start:].partition("\n")[0]
        return f"{line}\n{' ' * (self.at - start)}^"


class ImageError(DpedError):
    """A photo that cannot be read or written."""


class ImageTooLarge(ImageError):
    """A photo whose header announces more pixels than the limit."""


class OutOfMemory(ImageError):
    """A photo that cannot be read or worked on with the memory there is."""


class CorpusError(DpedError):
    """The index and the files do not hold what a stage needs."""


class KnownPhoto(CorpusError):
    """A photo that the corpus holds in another place already, byte for byte.

    shot, device, path  where it is held: the shot's key, the device's name, the file relative to the workspace
    """

    def __init__(self, photo: str, shot: str, device: str, path: str) -> None:
        super().__init__(
            f"{photo} clashes with {path} ({device}, {shot}), which holds the same bytes",
            "a photo belongs to one device and one shot",
        )
        self.args = (photo, shot, device, path)
        self.shot, self.device, self.path = shot, device, path


class NoPatches(CorpusError):
    """A phone has no patches in use in a split."""

    def __init__(self, phone: str, split: str) -> None:
        super().__init__(
            f"no kept patches of phone {phone!r} in split {split!r}",
            "run `dpedkit build-patches`; `dpedkit status` shows what there is",
        )
        self.args = (phone, split)


class QueueFull(DpedError):
    """A page has as many photos to enhance as it takes, of one visitor or of all."""


class StorageError(DpedError):
    """Full disk, missing rights, or a lock held by another command."""


class PairRejected(DpedError):
    """Two photos that do not show the same scene well enough to be aligned.

    reason  a short, stable word for tables: "too_few_inliers", "mirrored", "blank", ...
    """

    def __init__(self, reason: str, cause: str, remedy: str = "") -> None:
        super().__init__(cause, remedy)
        self.args = (reason, cause, remedy)
        self.reason = reason


class TrainError(DpedError):
    """A training run that cannot start or has gone wrong."""


class WeightsError(TrainError):
    """A weight file that is missing, foreign or corrupt."""


class StudyError(DpedError):
    """A preference study's plan or answers do not allow what was asked."""


class UnknownCode(StudyError):
    """No subject of the study has this code."""


class AnswerRefused(StudyError):
    """A place that was answered otherwise before, or is not the next one."""


class WorkerDied(DpedError):
    """A native library took its worker process down (segmentation fault, out of memory, killed)."""


class ClusterError(DpedError):
    """A Dask cluster that does not answer, has no workers, or has workers that cannot do this work."""


class MissingExtra(DpedError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed",
            f"pip install 'dpedkit[{extra}]'",
        )
        self.args = (package, extra)


class CameraError(DpedError):
    """A device is missing or failed."""

    exit_code = 4


class CameraNotFound(CameraError):
    """The named device does not answer at its address."""

    def __init__(self, name: str, address: str, seen: Sequence[str] = (), remedy: str = "") -> None:
        found = ", ".join(seen) or "nothing"
        super().__init__(
            f"no device {name!r} at {address}; connected: {found}",
            remedy or "wake it, check its cable, then run `dpedkit devices`",
        )
        self.args = (name, address, tuple(seen), remedy)


class CameraTimeout(CameraError):
    """A device did not answer in time."""


class PullFailed(CameraError):
    """A photo could not be brought over whole; it is still on the device."""
