"""Writes what a session tells into the corpus, as it happens: nothing is hidden if this process dies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dpedkit.capture.camera import ClockOffset, Release
from dpedkit.capture.drift import drifts
from dpedkit.capture.events import Event, Fired, Planned, Settled, Stored
from dpedkit.capture.orders import PastShot
from dpedkit.capture.shot import ShotPlan, ShotResult, StoredPhoto
from dpedkit.db import Corpus, PhotoRecord, ShotRecord
from dpedkit.errors import KnownPhoto
from dpedkit.images import PhotoMeta
from dpedkit.stages.photo_facts import facts_of
from dpedkit.workspace import Workspace

NOT_FINISHED = "not finished"
"""The reason of a shot whose process has not come to its end, or never will."""


@dataclass(frozen=True, slots=True)
class ShotSummary:
    """One shot as the command line shows it; skew in ms, None where it could not be measured.

    flags     short words on what is odd about it: "skew", "exposure sony"
    retry_of  key of the shot that it repeats
    """

    key: str
    status: str
    photos: tuple[str, ...]
    failures: dict[str, str]
    skew_ms: float | None
    skew_bound_ms: float | None
    flags: tuple[str, ...] = ()
    retry_of: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether it need not be fired again."""
        return self.status == "complete" and "skew" not in self.flags


class Recorder:
    """Writes one session's shots and photos, each as soon as it is known.

    skew_ms    the rig's threshold
    summaries  shot number -> how it stands
    """

    def __init__(self, workspace: Workspace, corpus: Corpus, session: str, skew_ms: float) -> None:
        self.summaries: dict[int, ShotSummary] = {}
        self._workspace, self._store, self._session, self._skew_ms = workspace, corpus.store, session, skew_ms
        self._clocks: dict[int, Mapping[str, ClockOffset | None]] = {}
        self._releases: dict[int, dict[str, Release]] = {}
        self._doubles: dict[int, dict[str, str]] = {}
        self._last: ShotResult | None = None

    def tell(self, event: Event) -> None:
        """Write down what an event says; harmless to repeat."""
        match event:
            case Planned(plan, clocks):
                self._clocks[plan.number] = clocks
                self._store.add_shot(self._shot(plan, "incomplete", NOT_FINISHED), [])
            case Fired(device, number, release):
                self._releases.setdefault(number, {})[device] = release
            case Stored(photo):
                self._add_photo(photo)
            case Settled(result):
                self._settle(result)
            case _:
                pass

    def restore(self, past: PastShot, *, status: str, reason: str, flags: tuple[str, ...]) -> None:
        """Remember a shot of an earlier process, as the corpus holds it, so that writing it again loses nothing."""
        number = past.shot.plan.number
        self._clocks[number], self._releases[number] = past.clocks, dict(past.releases)
        failures = dict(cause.partition(": ")[::2] for cause in reason.split("; ") if cause)
        self.summaries[number] = replace(self._summary(past.shot.result), status=status, failures=failures, flags=flags)

    def _settle(self, result: ShotResult) -> None:
        number = result.plan.number
        summary = self._summary(result)
        self.summaries[number] = summary
        skew = result.skew
        self._store.add_shot(
            self._shot(
                result.plan,
                summary.status,
                _reason(summary),
                flags=summary.flags,
                skew_ns=skew.spread_ns if skew else None,
                skew_bound_ns=skew.bound_ns if skew else None,
            ),
            [],
        )
        if self._last is None or number >= self._last.plan.number:
            self._last = result

    def _add_photo(self, photo: StoredPhoto) -> None:
        try:
            self._store.add_photo(self._key(photo.number), _photo_record(self._workspace, photo, photo.meta))
        except KnownPhoto as error:  # a camera that gives an old photo again: its file is kept, the shot has none
            self._doubles.setdefault(photo.number, {})[photo.device] = (
                f"{photo.device} gave the photo of {error.shot} again"
            )

    def _summary(self, result: ShotResult) -> ShotSummary:
        number, skew = result.plan.number, result.skew
        failures = {name: error.cause for name, error in result.failures.items()} | self._doubles.get(number, {})
        flags = ["skew"] if skew and skew.spread_ns > self._skew_ms * 1e6 else []
        if number in self.summaries:  # a late photo: what was seen before is still true
            flags += [flag for flag in self.summaries[number].flags if flag != "skew"]
        elif self._last is not None and self._last.plan.number < number:
            flags += drifts(self._last, result)
        retry_of = result.plan.retry_of
        return ShotSummary(
            key=self._key(number),
            status="incomplete" if failures else "complete",
            photos=tuple(self._workspace.relative(photo.path) for photo in result.photos),
            failures=failures,
            skew_ms=skew.spread_ns / 1e6 if skew else None,
            skew_bound_ms=skew.bound_ns / 1e6 if skew else None,
            flags=tuple(flags),
            retry_of=None if retry_of is None else self._key(retry_of),
        )

    def _shot(self, plan: ShotPlan, status: Any, reason: str, **more: Any) -> ShotRecord:
        return ShotRecord(
            key=self._key(plan.number),
            session=plan.session,
            number=plan.number,
            scene=plan.scene,
            scheduled_ns=plan.at_ns,
            status=status,
            reason=reason,
            devices=self._devices(plan.number),
            retry_of=None if plan.retry_of is None else self._key(plan.retry_of),
            **more,
        )

    def _devices(self, number: int) -> dict[str, Any]:
        """Return what is known of the devices at a shot, for whoever has to finish it in another process."""
        known: dict[str, Any] = {}
        for name, clock in self._clocks.get(number, {}).items():
            known[name] = {} if clock is None else {"clock": clock_to_json(clock)}
        for name, release in self._releases.get(number, {}).items():
            known.setdefault(name, {})["release"] = [release.earliest_ns, release.latest_ns]
        return known

    def _key(self, number: int) -> str:
        return f"{self._session}/{number:04d}"


def clock_to_json(clock: ClockOffset) -> list[float]:
    """Return a clock's offset as the corpus keeps it."""
    return [clock.offset_ns, clock.bound_ns, clock.at_ns, clock.drift, clock.drift_bound]


def clock_from_json(values: list[float]) -> ClockOffset:
    """Return what `clock_to_json` was given."""
    offset_ns, bound_ns, at_ns, drift, drift_bound = values
    return ClockOffset(int(offset_ns), int(bound_ns), int(at_ns), drift, drift_bound)


def _reason(summary: ShotSummary) -> str:
    return "; ".join(f"{name}: {cause.removeprefix(f'{name}: ')}" for name, cause in summary.failures.items())


def _photo_record(workspace: Workspace, photo: StoredPhoto, meta: PhotoMeta | None) -> PhotoRecord:
    return PhotoRecord(
        device=photo.device,
        path=workspace.relative(photo.path),
        sha256=photo.sha256,
        size_bytes=photo.size_bytes,
        device_path=photo.on_device.path,
        release_ns=photo.release.earliest_ns if photo.release else None,
        shutter_ns=photo.shutter.t_ns if photo.shutter else None,
        shutter_bound_ns=photo.shutter.bound_ns if photo.shutter else None,
        **facts_of(meta),
    )
