"""A workspace is found from anywhere in it; wrong settings are named with file, key and nearest key."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dpedkit.errors import NoWorkspace, SettingsError, StorageError, UsageError
from dpedkit.files import atomic_file, atomic_folder, sha256_file, write_atomic
from dpedkit.workspace import SETTINGS_FILE, Settings, create_workspace, find_workspace, unused_name


def test_a_new_workspace_is_found_from_below_and_holds_the_defaults(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "ws", {"tripod": 'name = "tripod"\n'})
    below = made.root / "photos" / "session"
    below.mkdir()
    found = find_workspace(below)
    assert found == made
    assert found.settings == Settings()
    assert found.rig_file("tripod").read_text() == 'name = "tripod"\n'
    assert found.relative(below / "a.jpg") == "photos/session/a.jpg"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("databse = 'x'", ["databse", "did you mean 'database'", "known keys"]),
        ("[split]\nsede = 1", ["split.sede", "did you mean 'seed'"]),
        ("jobs = -1", ["jobs", "-1"]),
        ("[split]\ntrain = 0.9", ["split", "must be 1"]),
        ("jobs = ", ["not TOML"]),
    ],
)
def test_wrong_settings_name_file_and_key(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises(SettingsError) as caught:
        find_workspace(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / SETTINGS_FILE) in message
    for word in words:
        assert word in message
    assert len(message.splitlines()) == 2


def test_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspace, match="dpedkit init"):
        find_workspace(tmp_path)


def test_init_leaves_what_is_there_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        create_workspace(tmp_path, {})
    with pytest.raises(UsageError, match="is a file"):
        create_workspace(tmp_path / "thesis.txt", {})
    create_workspace(tmp_path / "ws", {})
    with pytest.raises(UsageError, match="already"):
        create_workspace(tmp_path / "ws", {})


def test_an_atomic_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomic(path, b"old")
    with pytest.raises(KeyError), atomic_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert sha256_file(path) == hashlib.sha256(b"old").hexdigest()


def test_an_atomic_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "pages"
    with pytest.raises(KeyError), atomic_folder(path) as half:
        (half / "first").write_bytes(b"1")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(path) as half:
        (half / "first").write_bytes(b"1")
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["pages"]
    assert (path / "first").read_bytes() == b"1"
    with atomic_folder(path) as half:
        (half / "first").write_bytes(b"2")
    assert (path / "first").read_bytes() == b"1"
    assert [p.name for p in tmp_path.iterdir()] == ["pages"]
    with pytest.raises(StorageError, match="pages"), atomic_folder(tmp_path / "nowhere" / "pages"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no space left"), atomic_file(tmp_path / "x") as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_bytes(b"more than nothing")


def test_an_unused_name_counts_up(tmp_path: Path) -> None:
    for expected in ("run", "run-2", "run-3"):
        assert unused_name(tmp_path, "run") == expected
        (tmp_path / expected).mkdir()
