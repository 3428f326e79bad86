"""Writing to the corpus: short transactions, each whole or not there, each harmless to repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from sqlalchemy import Engine, bindparam, select, update

from dpedkit.db import decisions, naming
from dpedkit.db.engine import writing
from dpedkit.db.members import find_members
from dpedkit.db.pictures import Prefer
from dpedkit.db.records import (
    AlignmentRecord,
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
from dpedkit.db.rows import add_photos, frozen, id_of, retire
from dpedkit.db.schema import Alignment, Device, Lens, Patch, Photo, Session, Shard, Shot, Split
from dpedkit.db.schema_runs import Run, Score
from dpedkit.db.schema_runs import Snapshot as SnapshotRow
from dpedkit.db.splits import DEFAULT_SHARES, assign_splits
from dpedkit.db.upsert import row_of, upsert
from dpedkit.types import Json


class Store:
    """The one writer of a corpus. Every method is one transaction and may be repeated.

    clock   the host's wall clock, ns
    prefer  which of a device's formats pairs are made of, JPEG or RAW

    All methods raise StorageError where the disk is full, the database cannot be written, or another command holds it
    for too long; CorpusError where they are given the name of something that is not in the corpus.
    """

    def __init__(self, engine: Engine, clock: Callable[[], int], prefer: Prefer) -> None:
        self._engine = engine
        self._clock = clock
        self._prefer: Prefer = prefer

    def add_session(self, session: SessionRecord, devices: Sequence[DeviceRecord]) -> None:
        """Add a session and the devices it uses; known ones are brought up to date."""
        with writing(self._engine) as connection:
            upsert(connection, Device, ["name"], [row_of(device) for device in devices])
            upsert(connection, Session, ["name"], [row_of(session)])

    def update_session(self, name: str, settings: Json) -> None:
        """Change what a session remembers: the keys of `settings` take their place, the others stay."""
        with writing(self._engine) as connection:
            session_id = id_of(connection, Session, "name", name)
            before: Json = connection.execute(select(Session.settings).filter_by(id=session_id)).scalar_one()
            connection.execute(update(Session).filter_by(id=session_id).values(settings=before | settings))

    def add_shot(self, shot: ShotRecord, photos: Sequence[PhotoRecord]) -> None:
        """Add a shot with the photos it has so far, or what is newly known about it.

        Raises:
            KnownPhoto: a photo that is in the corpus already, in another place.
            CorpusError: a different photo of the same device and format in this shot.
        """
        with writing(self._engine) as connection:
            if shot.retry_of is not None:
                id_of(connection, Shot, "key", shot.retry_of)
            session_id = id_of(connection, Session, "name", shot.session)
            upsert(connection, Shot, ["key"], [row_of(shot, "session", session_id=session_id)])
            add_photos(connection, shot.key, photos, self._prefer)

    def add_photo(self, shot: str, photo: PhotoRecord) -> None:
        """Add one photo to a shot, or what is newly known about it; raises like `add_shot`."""
        with writing(self._engine) as connection:
            add_photos(connection, shot, [photo], self._prefer)

    def add_alignment(self, alignment: AlignmentRecord) -> None:
        """Add what the aligner found for a pair; it becomes the pair's current alignment."""
        with writing(self._engine) as connection:
            photos = {
                "phone_photo_id": id_of(connection, Photo, "sha256", alignment.phone_sha256),
                "dslr_photo_id": id_of(connection, Photo, "sha256", alignment.dslr_sha256),
            }
            connection.execute(update(Alignment).filter_by(**photos).values(current=False))
            row = row_of(alignment, "phone_sha256", "dslr_sha256", current=True, **photos)
            upsert(connection, Alignment, ["key"], [row])

    def add_measures(self, *, photos: Mapping[str, Json], alignments: Mapping[str, Json], version: str) -> None:
        """Add what was measured on photos, by their SHA-256, and on aligned pairs, by their alignment's key.

        The values are those of the columns of the same names; one that is gone by now is left alone.

        version  of the measures
        """
        with writing(self._engine) as connection:
            for sha256, values in photos.items():
                connection.execute(update(Photo).filter_by(sha256=sha256).values(**values, measured=version))
            for key, values in alignments.items():
                connection.execute(update(Alignment).filter_by(key=key).values(**values, measured=version))

    def add_lens(self, lens: LensRecord) -> None:
        """Add what a session's pairs told of two lenses; it takes the place of what they told before."""
        with writing(self._engine) as connection:
            place = {
                "session_id": id_of(connection, Session, "name", lens.session),
                "phone_id": id_of(connection, Device, "name", lens.phone),
                "dslr_id": id_of(connection, Device, "name", lens.dslr),
            }
            row = row_of(lens, "session", "phone", "dslr", created_ns=self._clock(), **place)
            upsert(connection, Lens, list(place), [row], keep="created_ns")

    def replace_patches(
        self,
        alignment: str,
        patches_key: str,
        shard: str,
        patches: Sequence[PatchRecord],
        *,
        gates: str | None = None,
        tone: Json | None = None,
    ) -> None:
        """Make `patches` the patches of an alignment.

        Those that are there already keep their identity. Those that are no longer wanted are removed, or, where a
        snapshot holds them, kept out of use: a snapshot never loses a patch.

        alignment    its key
        patches_key  what they were cut with, shown by `Corpus.pairs`: a rerun can tell what is done
        shard        what `write_shard` returned; "" if there are no patches
        gates        the policy that judged them
        tone         what was done to the DSLR's tone
        """
        with writing(self._engine) as connection:
            alignment_id = id_of(connection, Alignment, "key", alignment)
            made = {"patches_key": patches_key, "gates": gates, "tone": tone}
            connection.execute(update(Alignment).filter_by(id=alignment_id).values(made))
            before = connection.execute(select(Patch.key, Patch.id).filter_by(alignment_id=alignment_id)).all()
            if patches:
                upsert(connection, Shard, ["name"], [{"name": shard}])
                place = {"alignment_id": alignment_id, "shard_id": id_of(connection, Shard, "name", shard)}
                upsert(connection, Patch, ["key"], [row_of(patch, **place) for patch in patches])
            wanted = {patch.key for patch in patches}
            retire(connection, [patch_id for key, patch_id in before if key not in wanted])

    def judge_patches(self, alignment: str, gates: str, reasons: Mapping[str, str]) -> None:
        """Give patches of an alignment another verdict, by a policy that has judged all of them.

        alignment  its key
        gates      the policy
        reasons    patch's key -> why it is not kept, "" for one to keep; those that are left out stay as they are
        """
        with writing(self._engine) as connection:
            alignment_id = id_of(connection, Alignment, "key", alignment)
            connection.execute(update(Alignment).filter_by(id=alignment_id).values(gates=gates))
            rows = [{"which": key, "why": reason, "kept": not reason} for key, reason in reasons.items()]
            if rows:
                judged = update(Patch).where(Patch.key == bindparam("which"), Patch.alignment_id == alignment_id)
                connection.execute(judged.values(reason=bindparam("why"), keep=bindparam("kept")), rows)

    def decide(
        self,
        kind: str,
        verdicts: Mapping[str, str],
        *,
        who: str,
        why: str = "",
        tag: str = "",
        over_people: bool = False,
        seen: Mapping[str, int] | None = None,
    ) -> Decided:
        """Accept, reject or tag, all at once and as one batch; what holds already is not written again.

        kind         "shot", "pair" or "patch"
        verdicts     key -> "accept", "reject" or "" (undecided); of a tag "on" or "". Keys are those that
                     `dpedkit.db.decisions` names; nothing checks that they are there
        who          a person, or "rule NAME"; a rule leaves alone what a person decided, unless `over_people`
        tag          decide on this tag rather than on the verdict
        seen         key -> `decision` that the one who decides has seen (0: none); where another holds by now, the
                     key is left alone and reported
        """
        topic = decisions.TAG + tag if tag else decisions.VERDICT
        with writing(self._engine) as connection:
            return decisions.decide(
                connection,
                kind,
                topic,
                verdicts,
                who=who,
                why=why,
                now_ns=self._clock(),
                over_people=over_people,
                seen=seen,
            )

    def undo(self, batch: int | None = None, *, who: str) -> Decided:
        """Restore what held before a batch, but for what was decided since; that is a batch, too, and can be undone.

        batch  its number; None: the last one that is no undo and was not undone

        Raises:
            CorpusError: there is no such batch.
        """
        with writing(self._engine) as connection:
            return decisions.undo(connection, batch, who=who, now_ns=self._clock())

    def assign_splits(
        self,
        seed: int,
        shares: Mapping[SplitName, float] = DEFAULT_SHARES,
        groups: Mapping[str, str] | None = None,
    ) -> dict[str, SplitName]:
        """Give every shot that has no split one, and return those; see `dpedkit.db.splits`.

        groups  shot -> group; shots that are not in it, because they came meanwhile, wait for the next time
        """
        with writing(self._engine) as connection:
            shots = {shot.key: shot.id for shot in connection.execute(select(Shot.key, Shot.id))}
            if groups is not None:
                shots = {key: shot_id for key, shot_id in shots.items() if key in groups}
            known = connection.execute(select(Shot.key, Split.split).join(Split)).all()
            existing = {key: cast(SplitName, split) for key, split in known}
            assigned = assign_splits(shots, existing, seed, shares, groups)
            rows = [{"shot_id": shots[key], "split": split, "seed": seed} for key, split in assigned.items()]
            upsert(connection, Split, ["shot_id"], rows)
        return assigned

    def note_hashes(self, hashes: Mapping[str, str]) -> None:
        """Keep the perceptual hashes of photos that have none, by their SHA-256; measuring finds all the rest."""
        with writing(self._engine) as connection:
            rows = [{"which": sha256, "hash": phash} for sha256, phash in hashes.items()]
            if rows:
                unhashed = update(Photo).where(Photo.sha256 == bindparam("which"), Photo.phash.is_(None))
                connection.execute(unhashed.values(phash=bindparam("hash")), rows)

    def keep_splits(self, splits: Mapping[str, SplitName]) -> None:
        """Put shots into the splits that their data came with; `seed` -1 says so."""
        with writing(self._engine) as connection:
            rows = [
                {"shot_id": id_of(connection, Shot, "key", shot), "split": split, "seed": -1}
                for shot, split in splits.items()
            ]
            upsert(connection, Split, ["shot_id"], rows)

    def freeze(self, phone: str, split: SplitName) -> Snapshot:
        """Freeze the list of one phone's kept patches in one split; the same list is the same snapshot.

        Raises:
            CorpusError: there are none.
        """
        with writing(self._engine) as connection:
            members = find_members(connection, phone, split)
            new = Snapshot(members.content_hash, phone, split, len(members.ids), self._clock())
            return frozen(connection, members, new)

    def name_snapshot(self, name: str, made: Json, *, where: str = "", phones: Sequence[str] = ()) -> list[Snapshot]:
        """Freeze all patches in use under a name, a list for each phone and split, and return the lists.

        made    what the stage that makes it wants to remember; the query, gates and decisions are added
        where   only what a query finds
        phones  left out: all

        Raises:
            CorpusError: the name is taken by other patches, or there are no such patches.
            QueryError: the query cannot be read, or asks for what is not there.
        """
        with writing(self._engine) as connection:
            return naming.name_snapshot(connection, name, where, phones, made, self._clock())

    def add_run(self, run: RunRecord) -> None:
        """Add a training run, or bring it up to date."""
        with writing(self._engine) as connection:
            id_of(connection, SnapshotRow, "hash", run.snapshot_hash)
            upsert(connection, Run, ["name"], [row_of(run, created_ns=self._clock())], keep="created_ns")

    def update_run(self, name: str, status: str) -> None:
        """Note how a run stands."""
        with writing(self._engine) as connection:
            run_id = id_of(connection, Run, "name", name)
            connection.execute(update(Run).filter_by(id=run_id).values(status=status))

    def add_scores(self, scores: Sequence[ScoreRecord]) -> None:
        """Add scores; a newer one for the same name, phone, split and protocol takes the older one's place."""
        with writing(self._engine) as connection:
            rows = [row_of(score, created_ns=self._clock()) for score in scores]
            upsert(connection, Score, ["name", "phone", "split", "protocol"], rows)
