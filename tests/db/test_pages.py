"""Pages of pairs, and the patches of one pair, are what the whole has at that place; in both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pandas as pd
import pytest

from dpedkit.db import Corpus


@pytest.mark.parametrize("order", ["", "-shot", "kept", "-verdict"])
def test_a_page_of_pairs_is_cut_from_the_whole(build: Callable, corpus: Corpus, order: str) -> None:
    build.fill(shots=5)
    keys = (corpus.pairs()["shot"] + ":" + corpus.pairs()["phone"]).tolist()
    corpus.store.decide("pair", dict.fromkeys(keys[::2], "reject"), who="ann")
    corpus.store.decide("pair", {keys[1]: "on"}, who="ann", tag="night")
    for where in ("", "verdict is missing", "kept > 0 and patches = 8", "tag = 'night'", "shot = 'nowhere'"):
        whole = corpus.pairs(where, order=order)
        assert corpus.count("pairs", where) == len(whole)
        assert corpus.tally_pairs("verdict", where) == Counter(
            None if pd.isna(verdict) else verdict for verdict in whole["verdict"]
        )
        for offset in (0, 1, len(whole)):
            page = corpus.pairs(where, order=order, limit=2, offset=offset)
            assert page.equals(whole.iloc[offset : offset + 2].reset_index(drop=True)), (where, offset)


def test_the_patches_of_one_pair_are_those_of_its_alignment(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=3)
    patches = corpus.patches()
    for alignment in corpus.pairs()["alignment"]:
        own = patches[patches["alignment"] == alignment].reset_index(drop=True)
        assert len(own) == 8
        assert corpus.patches(alignment=alignment).equals(own)
        assert corpus.patches("x > 5", alignment=alignment).equals(own[own["x"] > 5].reset_index(drop=True))
    assert corpus.patches(alignment="nowhere").empty
