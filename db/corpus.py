"""Reading the corpus: tables as DataFrames, patches as arrays."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import pandas as pd
from sqlalchemy import Engine, func, select

from dpedkit.db import queries
from dpedkit.db.decisions import read_held, read_tags
from dpedkit.db.engine import make_engine, reading
from dpedkit.db.filters import TAG
from dpedkit.db.frames import Query, read_frame
from dpedkit.db.listing import Listing, read_listing
from dpedkit.db.members import find_members, frozen_members
from dpedkit.db.migrate import upgrade
from dpedkit.db.naming import read_members, read_snapshots
from dpedkit.db.pairs import ShardPairs
from dpedkit.db.patch_rows import page_of_patches, patch_fields, read_patches
from dpedkit.db.pictures import Prefer, preferred, settle
from dpedkit.db.records import Counts, SplitName
from dpedkit.db.schema import Alignment, Session, Shard
from dpedkit.db.schema_runs import Run, Snapshot
from dpedkit.db.selecting import chosen, count, pair_rows, photo_rows, tally
from dpedkit.db.shards import open_shard
from dpedkit.db.store import Store
from dpedkit.errors import CorpusError
from dpedkit.types import Json

Table: TypeAlias = Literal["photos", "pairs", "patches"]


def open_corpus(root: Path, url: str = "sqlite:///corpus.db", clock: Callable[[], int] = time.time_ns) -> Corpus:
    """Open the corpus of the workspace `root`; create it or upgrade it where needed, after a backup copy.

    Which of a device's formats pairs are made of follows `images.prefer` in the workspace's dpedkit.toml.

    url    of the database; a SQLite file is relative to `root`
    clock  the host's wall clock, ns

    Raises:
        SettingsError: a URL of no database that dpedkit knows, or a dpedkit.toml with a wrong key or value.
        CorpusError: a database of a newer dpedkit or another program, or no database at all.
        StorageError: it cannot be read or written.
    """
    engine = make_engine(url, root)
    try:
        upgrade(engine, root)
        prefer = preferred(root)
        settle(engine, prefer)
    except BaseException:
        engine.dispose()
        raise
    return Corpus(root, engine, clock, prefer)


class Corpus:
    """An open corpus; a context manager. Reads are its own methods, writes are those of `store`.

    The DataFrames hold text as str, numbers as float64 or int64, and integers that may be missing (marked ?) as Int64.
    """

    def __init__(self, root: Path, engine: Engine, clock: Callable[[], int], prefer: Prefer) -> None:
        self.root = root
        self.store = Store(engine, clock, prefer)
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

    def photos(self, where: str = "", *, order: str = "", limit: int | None = None, offset: int = 0) -> pd.DataFrame:
        """Return a row per photo, in order of shot, device and format; see `pairs` for what can be asked.

        shot device role split sha256 path format size_bytes width? height? device_path taken_at exposure_s f_number
        iso white_balance focus_m release_ns? shutter_ns? shutter_bound_ns? sharpness clipped latitude longitude noise
        mean_red mean_green mean_blue phash measured
        picture (whether it is the one of its device and shot that pairs are made of, as the settings prefer)
        exposure_drift_ev white_drift sharpness_drift (against the device's photo before it in its session: stops of
        light, stops of red and of blue against green, and share of the sharpness; docs/corpus.md)
        """
        return self._frame(chosen(photo_rows(), where, order, limit, offset))

    def pairs(self, where: str = "", *, order: str = "", limit: int | None = None, offset: int = 0) -> pd.DataFrame:
        """Return a row per phone picture and DSLR picture of the same shot, in order of shot and phone.

        shot session scene split phone dslr phone_path dslr_path phone_sha256 dslr_sha256
        alignment (its key; the current one) version status ("new" where there is none) reason residual_px
        residual_p95_px inliers? overlap mode trusted_share patches_key gates (NAME@VERSION#HASH of the policy that
        judged its patches) tone (dict: what `--match` did, or why it could not) gain_red gain_green gain_blue
        sharpness_ratio gain_ev (stops by which the DSLR's photo is the brighter one) measured skew_ms (by how much the
        phone's shutter opened later) sharpness_phone sharpness_dslr patches kept
        shard (missing where there are no patches) decision (number of the one that holds, 0: none) verdict ("accept",
        "reject"; missing: undecided) decided_by decided_why shot_verdict

        where   a query, such as "phone = 'sony' and residual_px < 0.2"; docs/corpus.md has the language
        order   a column, "-" before it for the largest first; missing values come last
        limit, offset  one page of them

        Raises:
            QueryError: a query that cannot be read, or asks for what is not there.
            UsageError: no such column to order by.
        """
        return self._frame(chosen(pair_rows(), where, order, limit, offset))

    def patches(self, where: str = "", *, alignment: str = "") -> pd.DataFrame:
        """Return a row per patch of the current alignments, in order of shot, phone and place in the shards.

        patch (its key) alignment (its key) shot session scene split phone dslr shard row x y size ncc crlb_px shift_px
        shift_x_px shift_y_px rotation_deg local_shift_px gain_red gain_green gain_blue offset_red offset_green
        offset_blue sharpness_phone sharpness_dslr clipped std confidence match keep reason
        residual_px residual_p95_px inliers? overlap trusted_share sharpness_ratio gates (of its pair)
        verdict pair_verdict shot_verdict
        used (whether the gates keep it and neither it nor its pair nor its shot is rejected)

        where      as `pairs` takes it; raises as it does
        alignment  only those of one alignment, by its key: found at once
        """
        with reading(self._engine) as connection:
            return read_patches(connection, where, alignment)

    def page_of_patches(self, where: str, limit: int, offset: int = 0) -> tuple[int, pd.DataFrame]:
        """Return how many patches a query finds, and some of them as `patches` gives them; half a million in no time.

        Raises:
            QueryError: as `pairs` does.
        """
        with reading(self._engine) as connection:
            return page_of_patches(connection, where, limit, offset)

    def count(self, table: Table, where: str = "") -> int:
        """Return how many photos, pairs or patches a query finds; raises as `pairs` does."""
        with reading(self._engine) as connection:
            if table == "patches":
                return page_of_patches(connection, where, 0)[0]
            return count(connection, photo_rows() if table == "photos" else pair_rows(), where)

    def tally_pairs(self, column: str, where: str = "") -> dict[Any, int]:
        """Return how many pairs a query finds by their value in a column, None for those without; raises as `pairs`."""
        with reading(self._engine) as connection:
            return tally(connection, pair_rows(), where, column)

    def columns(self, table: Table) -> dict[str, str]:
        """Return what a query may ask of photos, pairs or patches: column -> "number", "text" or "truth"."""
        fields = patch_fields() if table == "patches" else (photo_rows() if table == "photos" else pair_rows())[1]
        tags = {TAG: "text"} if fields.key is not None else {}
        return {**fields.kinds(), **tags}

    def tags(self, kind: str = "pair") -> dict[str, list[str]]:
        """Return the tags of pairs, patches or shots: key -> its tags, sorted; a pair's key is SHOT:PHONE."""
        with reading(self._engine) as connection:
            return read_tags(connection, kind)

    def held(self, kind: str, tag: str = "") -> dict[str, tuple[str, str]]:
        """Return the decisions that hold for pairs, patches or shots: key -> verdict ("": made undecided) and by whom.

        tag  those on this tag, "on" or ""; left out: the verdicts
        """
        with reading(self._engine) as connection:
            return read_held(connection, kind, tag)

    def decisions(self) -> pd.DataFrame:
        """Return a row per batch of decisions and what it decided, oldest first.

        batch decided_ns who why kind topic ("verdict", "tag:NAME") verdict decisions (how many) current (how many of
        them still hold) undoes? (the batch that it undid)
        """
        return self._frame(queries.decisions())

    def lenses(self) -> pd.DataFrame:
        """Return a row per session, phone and DSLR whose lenses were learnt, oldest session first.

        session phone dslr terms (dict) pairs created_ns
        """
        return self._frame(queries.lenses())

    def snapshots(self, name: str = "") -> pd.DataFrame:
        """Return a row per phone and split of every named snapshot, or of one, oldest first.

        snapshot (its name) hash created_ns made (dict) phone split patches list (hash of this phone's and split's)

        Raises:
            CorpusError: no such snapshot.
        """
        with reading(self._engine) as connection:
            return read_snapshots(connection, name)

    def snapshot_patches(self, name: str) -> pd.DataFrame:
        """Return a row per patch of a named snapshot, in order of phone, split and key.

        patch phone split shot keep reason gates current (all of these as they are now: the list itself never changes)

        Raises:
            CorpusError: no such snapshot.
        """
        with reading(self._engine) as connection:
            return read_members(connection, name)

    def listing(
        self, snapshot: str = "", *, phones: Sequence[str] = (), splits: Sequence[SplitName] = (), where: str = ""
    ) -> Listing:
        """Return all that is known of the patches of a named snapshot, or of those in use; see `read_listing`."""
        with reading(self._engine) as connection:
            return read_listing(connection, snapshot, phones, splits, where)

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
        with reading(self._engine) as connection:
            found: Json | None = connection.execute(select(Alignment.model).filter_by(key=alignment)).scalar()
        if found is None:
            raise CorpusError(f"the corpus holds no alignment {alignment!r}", "`dpedkit status` shows what it holds")
        return found

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


def _tally(column: pd.Series[str]) -> dict[str, int]:
    return {str(name): int(count) for name, count in column.value_counts().sort_index().items()}
