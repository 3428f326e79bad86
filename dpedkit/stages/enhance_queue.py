"""Photos that visitors want enhanced: looked at at once, then enhanced one after the other, visitor by visitor."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from dpedkit.errors import CorpusError, DpedError, ImageError, QueueFull
from dpedkit.executor import Crew, begin_worker
from dpedkit.files import storage_error
from dpedkit.stages.enhance_jobs import ENDED, Job, Limits, State, delete_folder, in_turn, own_folder, size_bytes
from dpedkit.stages.uploads import PICTURES, Upload, begin_enhancing, enhance_upload, look

_LOOKING = 2  # processes that decode what comes in
_PX_BYTES = 24  # what decoding takes of each pixel at most: 16-bit RGBA, and its copies
_OWN_BYTES = 500_000_000  # of a worker with its libraries
_LEAVE_FREE = 0.05  # of the disk


class Queue:
    """The queue of one server; a context manager, every method of which may be called from any thread.

    Whoever has photos in it comes in turn, one photo at a time, so that who sends a hundred keeps nobody waiting.
    """

    def __init__(self, folder: Path, limits: Limits, *, memory_bytes: int, device: str) -> None:
        self.limits = limits
        self._folder, self._memory_bytes, self._device = folder, memory_bytes, device
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._turns: list[str] = []  # visitors, who was served last comes last
        self._changed = threading.Condition()
        self._closing = False
        self._open = ExitStack()
        self._arriving = 0

    def __enter__(self) -> Self:
        self._own = self._open.enter_context(own_folder(self._folder))
        decoding = self.limits.photo_px * _PX_BYTES + _OWN_BYTES
        self._look = self._open.enter_context(
            Crew(look, jobs=_LOOKING, timeout_s=self.limits.look_s, begin=begin_worker, words=[decoding])
        )
        self._enhance = self._open.enter_context(
            Crew(
                enhance_upload,
                jobs=1,
                timeout_s=self.limits.work_s,
                begin=begin_enhancing,
                words=[decoding + 2 * self._memory_bytes],
            )
        )
        self._thread = threading.Thread(target=self._work, name="enhance", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closing = True
            for job in self._jobs.values():
                if job.future:
                    job.future.cancel()
            self._changed.notify_all()
        self._thread.join()
        self._open.close()

    @contextmanager
    def arriving(self, visitor: str, name: str) -> Iterator[Upload]:
        """Give a photo that is being sent a folder; it is gone again unless `add` takes it.

        Raises:
            QueueFull: this visitor, or all of them, have as many photos here as may be.
            StorageError: the folder cannot be made.
        """
        with self._changed:
            self._make_room(visitor)
            self._arriving += 1
        upload = Upload(self._own / secrets.token_hex(16), name, self.limits.photo_px)
        try:
            upload.folder.mkdir()
            yield upload
        except OSError as error:
            raise storage_error(error, self._own) from error
        finally:
            with self._changed:
                self._arriving -= 1
                taken = upload.folder.name in self._jobs
            if not taken:
                delete_folder(upload.folder)

    def add(self, upload: Upload, visitor: str, model: str, path: Path, *, with_place: bool) -> Job:
        """Look at a photo that has arrived, and put it into the queue.

        model, path  what enhances it: its name, and where it is

        Raises:
            ImageError: it is no photo that can be enhanced.
            QueueFull: others were faster.
        """
        looked = self._look.outcome(upload, self._look.begin(upload))
        if looked.error is not None or looked.value is None:
            raise looked.error or ImageError(f"{upload.name} cannot be looked at")
        whole = replace(upload, model=path, with_place=with_place, memory_bytes=self._memory_bytes, device=self._device)
        job = Job(upload.folder.name, visitor, whole, model, size=looked.value, bytes=size_bytes(upload.folder))
        with self._changed:
            self._refuse_full(visitor)
            self._jobs[job.id] = job
            if visitor not in self._turns:
                self._turns.insert(0, visitor)
            self._changed.notify_all()
        return job

    def jobs(self, visitor: str) -> list[tuple[Job, int]]:
        """Return a visitor's photos, newest first, each with how many come before it."""
        with self._changed:
            self._forget_old()
            line = {job.id: place for place, job in enumerate(in_turn(self._jobs.values(), self._turns))}
            mine = [job for job in self._jobs.values() if job.visitor == visitor]
            return [(replace(job, future=None), line.get(job.id, 0)) for job in reversed(mine)]

    def cancel(self, visitor: str, which: str) -> None:
        """Call off a photo that waits or is being enhanced; one that is done stays so.

        Raises:
            CorpusError: this visitor has no such photo.
        """
        with self._changed:
            job = self._find(visitor, which)
            if job.state == "waiting":
                self._end(job, "cancelled")
            elif job.future:
                job.future.cancel()

    def remove(self, visitor: str, which: str) -> None:
        """Forget a photo and delete its files; it is called off first.

        Raises:
            CorpusError: this visitor has no such photo.
        """
        with self._changed:
            job = self._find(visitor, which)
            if job.future:
                job.future.cancel()
            self._delete(job)

    def file(self, visitor: str, which: str, what: str) -> tuple[Path, str]:
        """Return a file of a photo and the name to download it by; `what` is "result" or one of PICTURES.

        Raises:
            CorpusError: this visitor has no such photo, or it has no such file yet.
        """
        with self._changed:
            upload = self._find(visitor, which).upload
        path = upload.result if what == "result" else upload.picture(what) if what in PICTURES else None
        if path is None or not path.is_file():
            raise CorpusError("no such picture", "wait until the photo is done")
        return path, upload.result_name

    def _work(self) -> None:
        while job := self._next():
            state, error, stamp = self._outcome(job)
            with self._changed:
                job.future = None
                job.stamp = stamp
                if error is not None:
                    job.cause, job.remedy = error.cause, error.remedy
                self._end(job, state)
                if job.id not in self._jobs:  # removed meanwhile
                    delete_folder(job.upload.folder)

    def _outcome(self, job: Job) -> tuple[State, DpedError | None, str]:
        """Wait for the end of the photo that is worked on."""
        assert job.future is not None
        try:
            outcome = self._enhance.outcome(job.upload, job.future)
        except CancelledError:
            return "cancelled", None, ""
        except Exception as error:  # a bug must not keep the others waiting for ever
            return "failed", DpedError(f"{type(error).__name__}: {error}", "this is a bug in dpedkit"), ""
        return ("failed" if outcome.error else "done"), outcome.error, outcome.value or ""

    def _next(self) -> Job | None:
        """Wait for the photo whose turn it is, and have it begun; None when the server ends."""
        with self._changed:
            while not self._closing:
                if job := next(iter(in_turn(self._jobs.values(), self._turns)), None):
                    self._turns.remove(job.visitor)
                    self._turns.append(job.visitor)
                    job.state, job.future = "working", self._enhance.begin(job.upload)
                    return job
                self._changed.wait()
        return None

    def _find(self, visitor: str, which: str) -> Job:
        job = self._jobs.get(which)
        if job is None or job.visitor != visitor:
            raise CorpusError("no such photo", "it may have been removed: send it again")
        return job

    def _end(self, job: Job, state: State) -> None:
        job.state, job.ended = state, time.monotonic()
        job.bytes = size_bytes(job.upload.folder)

    def _make_room(self, visitor: str) -> None:
        """Delete what was done longest ago, until another photo has room."""
        self._refuse_full(visitor)
        self._forget_old()
        ended = sorted((job for job in self._jobs.values() if job.state in ENDED), key=lambda job: job.ended)
        while self._lacks_room():
            if not ended:
                raise QueueFull("there is no room for another photo on this disk", "wait until some are done")
            self._delete(ended.pop(0))

    def _lacks_room(self) -> bool:
        wanted = (self._arriving + 1) * self.limits.photo_bytes
        disk = shutil.disk_usage(self._own)
        kept = sum(job.bytes for job in self._jobs.values())
        return kept + wanted > self.limits.kept_bytes or disk.free - wanted < disk.total * _LEAVE_FREE

    def _refuse_full(self, visitor: str) -> None:
        unfinished = [job for job in self._jobs.values() if job.state not in ENDED]
        if sum(job.visitor == visitor for job in unfinished) >= self.limits.waiting:
            raise QueueFull(f"{self.limits.waiting} of your photos are waiting", "wait until some are done")
        if len(unfinished) >= self.limits.all_waiting:
            raise QueueFull(f"{len(unfinished)} photos are waiting", "try again later")

    def _forget_old(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.state in ENDED and now - job.ended > self.limits.kept_s:
                self._delete(job)

    def _delete(self, job: Job) -> None:
        del self._jobs[job.id]
        if not any(other.visitor == job.visitor for other in self._jobs.values()):
            self._turns.remove(job.visitor)
        if job.state != "working":
            delete_folder(job.upload.folder)
