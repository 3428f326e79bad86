"""What leaves the corpus: the lists that training gets, with all that is known of each patch, on both databases."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from dpedkit.db import Corpus
from dpedkit.errors import CorpusError, UsageError


@pytest.fixture
def filled(build: Any, corpus: Corpus) -> Corpus:
    build.fill(shots=8)
    corpus.store.assign_splits(seed=0)
    return corpus


def test_what_is_in_use_is_what_training_gets(filled: Corpus, build: Any) -> None:
    listing = filled.listing()
    known = filled.patches("used").set_index("patch")
    pairs = filled.pairs().set_index(["shot", "phone"])
    assert sum(len(part) for part in listing.parts.values()) == len(known)
    for (phone, split), part in listing.parts.items():
        source = filled.pair_source(phone, split)
        assert len(source) == len(part) == listing.counts()[phone][split]
        for number, row in enumerate(part.itertuples()):
            assert all((read == own).all() for read, own in zip(source[number], build.pixels[row.patch], strict=True))
            own, pair = known.loc[row.patch], pairs.loc[(row.shot, phone)]
            assert (row.shard, row.row, row.x, row.ncc) == (own["shard"], own["row"], own["x"], own["ncc"])
            assert (row.phone_sha256, row.dslr_path) == (pair["phone_sha256"], pair["dslr_path"])
            assert (own["phone"], own["split"]) == (phone, split)
    assert listing.devices["canon"] == {"role": "dslr", "model": "Canon EOS 70D", "serial": ""}


def sha256_of(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def test_a_snapshot_leaves_as_it_was_and_the_same_content_has_its_hash(filled: Corpus) -> None:
    filled.store.name_snapshot("first", {"by": "me"})
    frozen, before = filled.snapshots()["hash"].iloc[0], filled.listing("first")
    assert filled.listing().hash == before.hash == frozen
    lists = [f"{phone} {split} {sha256_of(part['patch'])}" for (phone, split), part in before.parts.items()]
    assert frozen == sha256_of(lists)  # as it is recorded in workspaces and exports: it can never be another
    filled.store.replace_patches(filled.pairs("phone = 'sony'")["alignment"].iloc[0], "cut 2", "", [])
    filled.store.decide("shot", {"s/0003": "reject"}, who="ann")
    now, then = filled.listing(), filled.listing("first")
    assert then.hash == frozen != now.hash
    assert then.made["by"] == "me"
    assert then.made["decisions"]["verdicts"] == 0
    assert now.made["decisions"]["verdicts"] == 1
    for part, rows in then.parts.items():
        assert rows.equals(before.parts[part])
    assert "s/0003" in {shot for part in then.parts.values() for shot in part["shot"]}
    assert "s/0003" not in {shot for part in now.parts.values() for shot in part["shot"]}


def test_phones_splits_and_queries_choose(filled: Corpus) -> None:
    chosen = filled.listing(phones=["sony"], splits=["train", "test"], where="x < 2")
    assert list(chosen.parts) == [("sony", "test"), ("sony", "train")]
    assert {x for part in chosen.parts.values() for x in part["x"]} == {0, 1}
    assert chosen.made["where"] == "x < 2"
    assert list(chosen.only({"test"}).parts) == [("sony", "test")]
    with pytest.raises(CorpusError, match="no phone 'nokia'"):
        filled.listing(phones=["nokia"])
    with pytest.raises(CorpusError, match="no snapshot 'x'"):
        filled.listing("x")
    with pytest.raises(UsageError, match="--where cannot choose from it"):
        filled.listing("x", where="x < 2")


def test_naming_the_layouts_imports_none() -> None:
    code = "import sys; from dpedkit.db.exporters import exporters; print(sorted(exporters()), *sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, *loaded = done.stdout.splitlines()
    assert names == "['basicsr', 'dped', 'hf', 'webdataset']"
    assert not {f"dpedkit.db.exporters.{name}" for name in ("basicsr", "dped", "hf", "webdataset")} & {*loaded}
