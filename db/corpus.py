"""Reading the corpus: tables as DataFrames, patches as arrays."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
from sqlalchemy import Engine, func, select

from dpedkit.db import queries
from dpedkit.db.engine import make_engine, reading
from dpedkit.db.frames import Query, read_frame
from dpedkit.db.members import find_members, frozen_members
from dpedkit.db.migrate import upgrade
from dpedkit.db.pairs import ShardPairs
from dpedkit.db.records import Counts
from dpedkit.db.schema import Alignment, Run, Session, Shard, Snapshot
from dpedkit.db.shards import open_shard
from dpedkit.db.store import Store
from dpedkit.errors import CorpusError
from dpedkit.types import Json


def open_corpus(root: Path, url: str = "sqlite:///corpus.db", clock: Callable[[], int] = time.time_ns) -> Corpus:
    """Open the corpus of the workspace `root`; create it or upgrade it where needed, after a backup copy.

    url    of the database; a SQLite file is relative to `root`
    clock  the host's wall clock, ns

    Raises:
        SettingsError: a URL of no database that dpedkit knows.
        CorpusError: a database of a newer dpedkit or another program, or no database at all.
        StorageError: it cannot be read or written.
    """
    engine = make_engine(url, root)
    try:
        upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return Corpus(root, engine, clock)


class Corpus:
    """An open corpus; a context manager. Reads are its own methods, writes are those of `store`.

    The DataFrames hold text as str, numbers as float64 or int64, and integers that may be missing (marked ?) as Int64.
    """

    def __init__(self, root: Path, engine: Engine, clock: Callable[[], int]) -> None:
        self.root = root
        self.store = Store(engine, clock)
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the corpus may still be used, which opens them again."""
        self._engine.dispose()

    @property
    def shard_folder(self) -> Path:
        """Where `write_shard` puts the files that `replace_patches` names."""
        return self.root / "patches"

    def sessions(self) -> pd.DataFrame:
        """Return a row per session, oldest first.

        session (its name) rig started_ns settings (dict)
        """
        return self._frame(queries.sessions())

    def shots(self) -> pd.DataFrame:
        """Return a row per shot, in order of its key.

        shot session number scene scheduled_ns? status reason skew_ns? skew_bound_ns? flags (list of str)
        devices (dict) retry_of (a shot; missing: it repeats none) split (missing: none yet)
        """
        return self._frame(queries.shots())

    def photos(self) -> pd.DataFrame:
        """Return a row per photo, in order of shot, device and format.

        shot device role split sha256 path format size_bytes width? height? device_path taken_at exposure_s f_number
        iso white_balance focus_m release_ns? shutter_ns? shutter_bound_ns? sharpness clipped latitude longitude noise
        mean_red mean_green mean_blue phash measured
        picture (whether it is the one of its device and shot that pairs are made of; a RAW file never is)
        """
        return self._frame(queries.photos())

    def pairs(self) -> pd.DataFrame:
        """Return a row per phone picture and DSLR picture of the same shot, in order of shot and phone.

        shot session scene split phone dslr phone_path dslr_path phone_sha256 dslr_sha256
        alignment (its key; the current one) version status ("new" where there is none) reason residual_px
        residual_p95_px inliers? overlap mode trusted_share patches_key gates (NAME@VERSION#HASH of the policy that
        judged its patches) tone (dict: what `--match` did, or why it could not) patches kept
        shard (missing where there are no patches)
        """
        return self._frame(queries.pairs())

    def patches(self) -> pd.DataFrame:
        """Return a row per patch of the current alignments, in order of shot, phone and place in the shards.

        patch (its key) alignment (its key) shot split phone dslr shard row x y size ncc crlb_px shift_px shift_x_px
        shift_y_px rotation_deg local_shift_px gain_red gain_green gain_blue offset_red offset_green offset_blue
        sharpness_phone sharpness_dslr clipped std confidence match keep reason
        """
        with reading(self._engine) as connection:
            patches = read_frame(connection, queries.patches())
            alignments = read_frame(connection, queries.patch_alignments())
            shards = read_frame(connection, select(Shard.id.label("shard_id"), Shard.name.label("shard")))
        # joining here keeps the text that many patches share out of the query, which makes it several times faster
        whole = patches.merge(alignments, on="alignment_id").merge(shards, on="shard_id")
        ordered = whole.sort_values(["shot", "phone", "shard", "row"], ignore_index=True)
        first = ["patch", "alignment", "shot", "split", "phone", "dslr", "shard"]
        return ordered[first + [name for name in patches if name not in ("patch", "alignment_id", "shard_id")]]

    def lenses(self) -> pd.DataFrame:
        """Return a row per session, phone and DSLR whose lenses were learnt, oldest session first.

        session phone dslr terms (dict) pairs created_ns
        """
        return self._frame(queries.lenses())

    def runs(self) -> pd.DataFrame:
        """Return a row per training run, oldest first.

        run phone recipe snapshot_hash status config (dict) created_ns
        """
        return self._frame(queries.runs())

    def scores(self) -> pd.DataFrame:
        """Return a row per score, in order of phone, split, protocol and name.

        name (of a run or a method) phone split protocol psnr ssim ms_ssim photos patches created_ns
        """
        return self._frame(queries.scores())

    def alignment_model(self, alignment: str) -> Json:
        """Return what the aligner recorded as the model of an alignment, by its key.

        Raises:
            CorpusError: no such alignment.
        """
        return self._json(select(Alignment.model).filter_by(key=alignment), f"alignment {alignment!r}")

    def counts(self) -> Counts:
        """Return how much of everything there is."""
        shots, photos, pairs = self.shots(), self.photos(), self.pairs()
        with reading(self._engine) as connection:
            sessions, snapshots, runs = (
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (Session, Snapshot, Run)
            )
        return Counts(
            sessions=sessions,
            shots=len(shots),
            incomplete_shots=int((shots["status"] == "incomplete").sum()),
            photos=_tally(photos["device"]),
            pairs=_tally(pairs["status"]),
            patches=int(pairs["patches"].sum()),
            kept_patches=int(pairs["kept"].sum()),
            splits=_tally(shots["split"]),
            snapshots=snapshots,
            runs=runs,
        )

    def pair_source(self, snapshot_or_phone: str, split: str | None = None) -> ShardPairs:
        """Return the pixels of a snapshot, named by its hash, or of a phone's kept patches in a split.

        `pair_source(phone, split)` is what `pair_source(store.freeze(phone, split).hash)` would be, unfrozen.

        Raises:
            CorpusError: there are no such patches, or a shard is missing or broken.
        """
        with reading(self._engine) as connection:
            if split is None:
                members = frozen_members(connection, snapshot_or_phone)
            else:
                members = find_members(connection, snapshot_or_phone, split)
        return members.source(self.shard_folder)

    def broken_shards(self) -> dict[str, str]:
        """Return the shards that are missing, cut short or no shards, each with what is wrong with it."""
        with reading(self._engine) as connection:
            names = connection.execute(select(Shard.name).order_by(Shard.name)).scalars().all()
        broken: dict[str, str] = {}
        for name in names:
            try:
                open_shard(self.shard_folder, name)
            except CorpusError as error:
                broken[name] = error.cause
        return broken

    def _frame(self, statement: Query) -> pd.DataFrame:
        with reading(self._engine) as connection:
            return read_frame(connection, statement)

    def _json(self, statement: Query, what: str) -> Json:
        with reading(self._engine) as connection:
            found: Json | None = connection.execute(statement).scalar()
        if found is None:
            raise CorpusError(f"the corpus holds no {what}", "`dpedkit status` shows what it holds")
        return found


def _tally(column: pd.Series[str]) -> dict[str, int]:
    return {str(name): int(count) for name, count in column.value_counts().sort_index().items()}
