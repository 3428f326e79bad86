"""What a session's pairs told of its lenses: learnt once enough pairs are aligned, and kept for those to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dpedkit.align import Alignment, Lens, learn_lens
from dpedkit.db import Corpus, LensRecord
from dpedkit.stages import given
from dpedkit.stages.frames import rows

Cameras: TypeAlias = tuple[str, str, str]
"""Session, phone, DSLR."""


@dataclass(frozen=True, slots=True)
class LearntLens:
    """Whose lenses were learnt now, and from how many pairs."""

    session: str
    phone: str
    dslr: str
    pairs: int


def known_lenses(corpus: Corpus) -> dict[Cameras, Lens]:
    """Return what was learnt before."""
    return {(row.session, row.phone, row.dslr): Lens.from_dict(row.terms) for row in rows(corpus.lenses())}


def learn_lenses(corpus: Corpus) -> list[LearntLens]:
    """Learn the lenses of every session whose pairs have all been tried and agree; record and return them.

    What was learnt stays: pairs that are added later use it, and nothing that was aligned changes.
    """
    pairs = given.with_photos(corpus.pairs())
    known = known_lenses(corpus)
    learnt = []
    for cameras, group in pairs.groupby(["session", "phone", "dslr"]):
        session, phone, dslr = (str(name) for name in cameras)
        if (session, phone, dslr) in known or (group["status"] == "new").any():
            continue
        aligned = group.loc[group["status"] == "aligned", "alignment"]
        lens = learn_lens([Alignment.from_dict(corpus.alignment_model(key)) for key in aligned])
        if lens:
            corpus.store.add_lens(LensRecord(session, phone, dslr, lens.to_dict(), len(aligned)))
            learnt.append(LearntLens(session, phone, dslr, len(aligned)))
    return learnt
