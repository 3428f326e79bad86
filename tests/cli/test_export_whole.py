"""dpedkit export: a folder that is whole or not there, whatever stops the command; and what it refuses."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine, enlarge, tree
from small_corpus import SESSION, SmallCorpus, hand_on, make_corpus

from dpedkit.db import open_corpus
from dpedkit.errors import DpedError, StorageError, UsageError
from dpedkit.files import locked
from dpedkit.stages.curating import Action, curate
from dpedkit.stages.snapshots import make_snapshot
from dpedkit.workspace import find_workspace

CALL = ["export", "hf", "../out", "--jobs", "2"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> SmallCorpus:
    """As many pairs as go to workers, in ten batches."""
    return make_corpus(tmp_path_factory.mktemp("many") / "ws", each=400, size=16)


@pytest.fixture
def few(tmp_path: Path) -> SmallCorpus:
    return make_corpus(tmp_path / "ws", size=16)


def finished_batches(root: Path) -> list[Path]:
    return sorted((root.parent / ".out.part" / "sums").glob("[!.]*"))


def test_a_killed_export_goes_on_and_ends_with_the_same_bytes(cli: CommandLine, many: SmallCorpus) -> None:
    root, out = many.root, many.root.parent / "out"
    for least, how in ((1, signal.SIGKILL), (5, signal.SIGINT)):
        stop = lambda least=least: len(finished_batches(root)) >= least  # noqa: E731
        done = cli.stop_when(stop, how, *CALL, cwd=root, group=True)
        assert done.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[how], done.stderr
        assert not out.exists()
    assert done.stderr.splitlines()[-1].endswith("run the same command again to go on")
    part = out.parent / ".out.part" / "files"
    kept, damaged = (batch.read_text().split()[2] for batch in finished_batches(root)[:2])
    written_ns = (part / kept).stat().st_mtime_ns
    (part / damaged).write_bytes(b"")  # as a power cut leaves files
    cli.run(*CALL, cwd=root)
    hand_on(root, out.parent / "undisturbed", "hf")
    assert tree(out) == tree(out.parent / "undisturbed")
    assert (out / kept).stat().st_mtime_ns == written_ns  # what was finished was not done again
    assert {path.name for path in out.parent.iterdir()} == {"ws", "out", "undisturbed"}


@pytest.mark.parametrize("stamp", ["", "of another request"])
def test_an_unfinished_export_of_something_else_is_not_gone_on_with(
    few: SmallCorpus, tmp_path: Path, stamp: str
) -> None:
    stray = tmp_path / ".out.part" / "files" / "stray.txt"
    stray.parent.mkdir(parents=True)
    stray.write_text("of another request")
    if stamp:
        (tmp_path / ".out.part" / "stamp").write_text(stamp)
    hand_on(few.root, tmp_path / "out", "basicsr")
    assert "stray.txt" not in tree(tmp_path / "out")


def test_a_phone_that_is_called_as_the_layout_calls_the_dslr_is_refused(tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "ws", phones=("canon",)).root
    with pytest.raises(UsageError, match=r"both photos of a pair of canon would be canon/.*/canon/0\.jpg"):
        hand_on(root, tmp_path / "out", "dped")
    hand_on(root, tmp_path / "out", "basicsr")


def test_two_exports_to_one_folder_do_not_meet(few: SmallCorpus, tmp_path: Path) -> None:
    (tmp_path / ".out.part").mkdir()
    with (
        locked(tmp_path / ".out.part" / "lock", "testing"),
        pytest.raises(StorageError, match="another process is exporting to "),
    ):
        hand_on(few.root, tmp_path / "out", "basicsr")
    hand_on(few.root, tmp_path / "out", "basicsr")


def test_what_is_there_already_is_known(few: SmallCorpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked: dict[str, Any] = {"phones": ("sony",), "splits": ("test",)}
    assert hand_on(few.root, out, "basicsr", dry_run=True, **asked).patches == {"sony": {"test": 8}}
    assert {path.name for path in tmp_path.iterdir()} == {"ws"}
    out.mkdir()
    hand_on(few.root, out, "basicsr", **asked)
    first = tree(out)
    (tmp_path / ".out.part").mkdir()  # it was killed just after it was done
    assert hand_on(few.root, out, "basicsr", **asked).there
    assert {path.name for path in tmp_path.iterdir()} == {"ws", "out"}
    with pytest.raises(UsageError, match="holds something else already"):
        hand_on(few.root, out, "basicsr", licence="mine", **asked)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="notes holds something else already"):
        hand_on(few.root, tmp_path / "notes", "basicsr")
    assert tree(out) == first


def test_a_snapshot_is_exported_as_it_was_frozen(few: SmallCorpus, tmp_path: Path) -> None:
    workspace = find_workspace(few.root)
    frozen = make_snapshot(workspace, "first", where="", phones=())
    hand_on(few.root, tmp_path / "a", "webdataset", snapshot="first")
    curate(workspace, "phone = 'sony'", Action("reject"), who="me", why="", dry_run=False)
    later = hand_on(few.root, tmp_path / "b", "webdataset", snapshot="first")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert later.hash == frozen.hash
    now = hand_on(few.root, tmp_path / "c", "webdataset", dry_run=True)
    with open_corpus(few.root) as corpus:
        source = corpus.pair_source("iphone", "train")
        phone, dslr = source.read_batch(range(len(source)))
    assert list(now.patches) == ["iphone"]
    wanted = few.list("iphone", "train")  # file N is row N of what a network is trained on
    assert all((pair[0] == p).all() and (pair[1] == d).all() for pair, p, d in zip(wanted, phone, dslr, strict=True))


def test_a_query_that_names_what_is_private_is_not_told(few: SmallCorpus, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"where": f"shot like '{SESSION}*' and ncc > 0.9001", "splits": ("test",)}
    hand_on(few.root, tmp_path / "out", "webdataset", **asked)
    assert not any(SESSION.encode() in path.read_bytes() for path in (tmp_path / "out").iterdir())
    hand_on(few.root, tmp_path / "mine", "webdataset", keep_private=True, licence="for us alone", **asked)
    card = (tmp_path / "mine" / "README.md").read_text()
    assert all(word in card for word in (asked["where"], "SN-0815-4711-sony", "for us alone"))
    assert SESSION in (tmp_path / "mine" / "manifest.jsonl").read_text()


@pytest.mark.parametrize(
    ("layout", "wanted", "code", "cause", "remedy"),
    [
        ("webdatasets", {}, 2, "no layout 'webdatasets', did you mean 'webdataset'?", "basicsr, dped, hf"),
        ("hf", {"phones": ("nokia",)}, 1, "the corpus has no phone 'nokia'", "iphone, sony"),
        ("hf", {"snapshot": "first"}, 1, "there is no snapshot 'first'", "snapshots: none"),
        ("hf", {"snapshot": "first", "where": "ncc > 0"}, 2, "--where cannot choose from it", "create --where"),
        ("hf", {"where": "ncc > 2"}, 1, "there are no such patches", "dpedkit status"),
        ("hf", {"where": "nc > 2"}, 2, "no column 'nc'", "docs/corpus.md"),
        ("dped", {}, 2, "patches of 100 px, those of iphone have 16 px", "dpedkit build-patches --size 100"),
        ("dped", {"splits": ("val",)}, 2, "no place for these splits: it has train, test", "other splits"),
    ],
)
def test_what_cannot_be_is_refused(
    many: SmallCorpus, tmp_path: Path, layout: str, wanted: dict[str, Any], code: int, cause: str, remedy: str
) -> None:
    with pytest.raises(DpedError) as refused:
        hand_on(many.root, tmp_path / "out", layout, **wanted)
    assert refused.value.exit_code == code
    assert cause in refused.value.cause
    assert remedy in refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_nothing_that_was_finished(small_disk: Path, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "ws", each=80, size=16).root
    with pytest.raises(StorageError, match=r"no space left for .*\.png") as refused:
        hand_on(root, small_disk / "out", "basicsr")
    assert "run the same command again" in refused.value.remedy
    assert list((small_disk / ".out.part" / "sums").glob("[!.]*"))
    enlarge(small_disk)
    hand_on(root, small_disk / "out", "basicsr")
    hand_on(root, tmp_path / "other", "basicsr")
    assert tree(small_disk / "out") == tree(tmp_path / "other")
