"""The pages of `dpedkit align --report`: one for each pair, and an index of all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dpedkit.db import Corpus, open_corpus
from dpedkit.errors import StorageError
from dpedkit.executor import Workers, run_parallel
from dpedkit.files import locked, write_atomic
from dpedkit.progress import Progress
from dpedkit.stages import given
from dpedkit.stages.align_index import index_page
from dpedkit.stages.align_page import PageJob, PairView, is_fresh, make_page
from dpedkit.stages.align_pictures import THUMB
from dpedkit.stages.frames import rows
from dpedkit.stages.templates import resource
from dpedkit.workspace import Workspace

REPORT_VERSION = 1
"""Part of the key of every page: raised whenever the same pair would give another."""

_ASSETS = ("align_report.css", "align_report.js")
_TRIED = ("failed", "rejected", "aligned")  # worst first


@dataclass(slots=True)
class AlignPages:
    """What became of the pages.

    index        the page to open
    made         pages written now
    done_before  pages that were as they should be
    removed      pages whose pairs are gone
    failures     pairs that have no page, each with the reason
    """

    index: Path
    made: int = 0
    done_before: int = 0
    removed: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def write_align_report(workspace: Workspace, *, workers: Workers, progress: Progress) -> AlignPages:
    """Write the pages of all pairs that were tried, if they are not there or no longer true, and the index.

    Raises:
        StorageError: the disk is full, or another process is writing the same report; what was finished stays.
    """
    folder = workspace.reports / "align"
    for name in ("pairs", "pictures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pages = AlignPages(folder / "index.html")
    failed: dict[str, str] = {}
    with (
        locked(folder / ".lock", "writing this report"),
        open_corpus(workspace.root, workspace.settings.database) as corpus,
    ):
        book = _Book(workspace, corpus, folder)
        for name in _ASSETS:
            _write(folder / name, resource(name))
        todo = [key for key in book.keys if not is_fresh(book.page(key), book.keys[key])]
        pages.done_before = len(book.keys) - len(todo)
        progress.start("report", len(todo))
        for outcome in run_parallel(
            make_page, book.jobs(todo), workers=workers, folder=workspace.root, say=progress.say
        ):
            if isinstance(outcome.error, StorageError):
                raise outcome.error  # a full disk is no fault of the pair: the next would end the same way
            if outcome.error:
                failed[outcome.item.view.slug] = outcome.error.cause
            else:
                pages.made += 1
            progress.advance()
        progress.done(f"{pages.made} made, {pages.done_before} done before")
        _write(folder / "pairs.js", book.order(failed))
        _write(pages.index, index_page(book.views, book.thumbs(failed), failed))
        pages.removed = book.sweep(failed)
        pages.failures = {view.title: failed[view.slug] for view in book.views if view.slug in failed}
    return pages


class _Book:
    """All pairs that were tried, and what their pages are called.

    views  worst first
    keys   slug -> what its page depends on
    """

    def __init__(self, workspace: Workspace, corpus: Corpus, folder: Path) -> None:
        self._workspace, self._corpus, self._folder = workspace, corpus, folder
        pairs = [pair for pair in rows(given.with_photos(corpus.pairs())) if pair.status in _TRIED]
        views = {_slug(pair): _view(workspace, corpus, pair) for pair in pairs}
        self.views = sorted(views.values(), key=_badness)
        self._pairs = {_slug(pair): pair for pair in pairs}
        self._lenses = {
            (learnt.session, learnt.phone, learnt.dslr): f"{learnt.pairs} pairs of session {learnt.session}"
            for learnt in rows(corpus.lenses())
        }
        self._pictures = {slug: folder / "pictures" / f"{slug}-{self._pictures_key(slug)[:16]}" for slug in views}
        self.keys = {view.slug: self._key(view) for view in self.views}

    def page(self, slug: str) -> Path:
        return self._folder / "pairs" / f"{slug}.html"

    def jobs(self, slugs: list[str]) -> Iterator[PageJob]:
        """Yield what the pages of some pairs are made of, each read when it is wanted."""
        patches = self._corpus.patches() if slugs else pd.DataFrame({"alignment": []})
        by_alignment = patches.groupby("alignment").indices
        views = {view.slug: view for view in self.views}
        for slug in slugs:
            pair = self._pairs[slug]
            yield PageJob(
                view=views[slug],
                key=self.keys[slug],
                page=self.page(slug),
                pictures=self._pictures[slug],
                phone=self._workspace.root / pair.phone_path,
                dslr=self._workspace.root / pair.dslr_path,
                limit_px=int(self._workspace.settings.images.limit_mp * 1e6),
                lenses=self._lens(pair),
                model=self._corpus.alignment_model(pair.alignment) if pair.status == "aligned" else None,
                patches=patches.iloc[by_alignment.get(pair.alignment, [])],
            )

    def thumbs(self, failed: Collection[str]) -> dict[str, str]:
        """Return slug -> thumbnail, relative to the index; pairs of which no photo could be read have none."""
        files = {slug: folder / THUMB for slug, folder in self._pictures.items() if slug not in failed}
        return {slug: file.relative_to(self._folder).as_posix() for slug, file in files.items() if file.exists()}

    def order(self, failed: Collection[str]) -> str:
        """Return a script that tells every page its neighbours, so that a new pair changes no other's page."""
        names = [f"{slug}.html" for slug in self.keys if slug not in failed]
        return f"window.PAIRS = {json.dumps(names, indent=0)};\n"

    def sweep(self, failed: Collection[str]) -> int:
        """Remove what belongs to no page of now, and what a killed process left; return how many pages that were."""
        current = {slug for slug in self.keys if slug not in failed}
        stale = [page for page in (self._folder / "pairs").glob("*.html") if page.stem not in current]
        drawn = {self._pictures[slug] for slug in current}
        for pictures in {path for path in (self._folder / "pictures").iterdir() if path.is_dir()} - drawn:
            shutil.rmtree(pictures)
        for file in [*stale, *self._folder.glob(".*.part"), *(self._folder / "pairs").glob(".*.part")]:
            file.unlink()
        return len(stale)

    def _lens(self, pair: Any) -> str:
        return self._lenses.get((pair.session, pair.phone, pair.dslr), "this pair alone")

    def _pictures_key(self, slug: str) -> str:
        pair = self._pairs[slug]
        paths = [self._workspace.root / path for path in (pair.phone_path, pair.dslr_path)]
        sizes = [path.stat().st_size if path.exists() else None for path in paths]  # one that was mended is drawn again
        return _hash(REPORT_VERSION, pair.alignment, pair.status, sizes)

    def _key(self, view: PairView) -> str:
        pair = self._pairs[view.slug]
        return _hash(self._pictures_key(view.slug), asdict(view), self._lens(pair), str(pair.patches_key))


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _slug(pair: Any) -> str:
    """Return a file's name for a pair: readable, safe in any file system and URL, and no other pair's."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{pair.shot}_{pair.phone}")[:80]
    return f"{readable}-{_hash(pair.shot, pair.phone, pair.dslr)[:8]}"


def _view(workspace: Workspace, corpus: Corpus, pair: Any) -> PairView:
    told = corpus.alignment_model(pair.alignment) if pair.status != "aligned" else {}
    return PairView(
        slug=_slug(pair),
        shot=pair.shot,
        scene=_text(pair.scene),
        phone=pair.phone,
        dslr=pair.dslr,
        status=pair.status,
        reason=_text(pair.reason),
        detail=told.get("detail", "").replace(f"{workspace.root}/", ""),  # pages may be moved with the workspace
        remedy=told.get("remedy", ""),
        mode=pair.mode,
        residual_px=_number(pair.residual_px),
        residual_p95_px=_number(pair.residual_p95_px),
        trusted_share=_number(pair.trusted_share),
        overlap=_number(pair.overlap),
        inliers=None if pd.isna(pair.inliers) else int(pair.inliers),
        patches=int(pair.patches),
        kept=int(pair.kept),
        gates=_text(pair.gates),
    )


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _badness(view: PairView) -> tuple[int, float, str]:
    return _TRIED.index(view.status), -(view.residual_px or 0.0), view.slug


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomic(path, text.encode())
