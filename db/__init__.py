"""The corpus: schema, reading, writing, shards, splits.

with open_corpus(root) as corpus:
    corpus.pairs()                  reads are DataFrames
    corpus.store.add_alignment(...) writes are short transactions
"""

from dpedkit.db.corpus import Corpus, open_corpus
from dpedkit.db.links import Link, LinkRules, ShotFacts, find_links, group
from dpedkit.db.listing import Listing
from dpedkit.db.records import (
    AlignmentRecord,
    Conflict,
    Counts,
    Decided,
    DeviceRecord,
    LensRecord,
    PatchRecord,
    PhotoRecord,
    RunRecord,
    ScoreRecord,
    SessionRecord,
    ShotRecord,
    Snapshot,
    SplitName,
)
from dpedkit.db.shards import open_shard, using_shards, write_shard
from dpedkit.db.splits import assign_splits
from dpedkit.db.store import Store

__all__ = [
    "AlignmentRecord",
    "Conflict",
    "Corpus",
    "Counts",
    "Decided",
    "DeviceRecord",
    "LensRecord",
    "Link",
    "LinkRules",
    "Listing",
    "PatchRecord",
    "PhotoRecord",
    "RunRecord",
    "ScoreRecord",
    "SessionRecord",
    "ShotFacts",
    "ShotRecord",
    "Snapshot",
    "SplitName",
    "Store",
    "assign_splits",
    "find_links",
    "group",
    "open_corpus",
    "open_shard",
    "using_shards",
    "write_shard",
]
