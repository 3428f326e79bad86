"""The commands on a PostgreSQL server, and two of them on it at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import DPEDKIT, CommandLine, shards
from postgres_server import NewDatabase

from dpedkit.db import open_corpus
from dpedkit.images import encode_jpeg

SHOTS = 6


@pytest.fixture(scope="module")
def root(cli: CommandLine, new_postgres: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose index is on the server: shots of photos that are aligned already, cut into patches."""
    base = tmp_path_factory.mktemp("postgres")
    rng = np.random.default_rng(0)
    for side in ("dslr", "phone"):
        (base / side).mkdir()
    for number in range(SHOTS):
        blocks = rng.integers(60, 200, (15, 20, 3)).repeat(20, axis=0).repeat(20, axis=1)
        picture = np.clip(blocks + rng.normal(0, 8, blocks.shape), 0, 255)
        (base / "dslr" / f"{number}.jpg").write_bytes(encode_jpeg(picture.astype(np.uint8)))
        (base / "phone" / f"{number}.jpg").write_bytes(encode_jpeg((picture * 0.6).astype(np.uint8)))
    ws = base / "ws"
    cli.run("init", ws, cwd=base)
    settings = (ws / "dpedkit.toml").read_text()
    (ws / "dpedkit.toml").write_text(settings.replace("sqlite:///corpus.db", new_postgres()))
    (ws / "corpus.db").unlink()
    cli.run("import", "pairs", "--input", base / "phone", "--target", base / "dslr", "--phone", "sony", cwd=ws)
    cli.run("align", cwd=ws)
    cli.run("build-patches", "--jobs", 1, cwd=ws)
    return ws


def test_each_command_does_its_work(cli: CommandLine, root: Path) -> None:
    assert cli.json("status", cwd=root)["counts"]["pairs"] == {"aligned": SHOTS}
    assert cli.json("measure", "--jobs", 1, cwd=root)["pairs"] == SHOTS
    assert cli.json("query", "pairs", "--where", "gain_ev > 1 and tag is missing", cwd=root)["count"] == SHOTS
    assert cli.json("curate", "--where", "shot like '*/0002'", "--reject", cwd=root)["decided"] == 1
    assert cli.json("split", "--check", cwd=root)["leaks"] == []
    made = cli.json("snapshot", "create", "first", cwd=root)
    with open_corpus(root, database(root)) as corpus:
        assert sum(sum(splits.values()) for splits in made["patches"].values()) == corpus.count("patches", "used") > 0
    cli.run("curate", "--undo", cwd=root)
    cli.run("snapshot", "create", "second", cwd=root)
    assert list(cli.json("snapshot", "diff", "first", "second", cwd=root)["added"]) == ["sony"]
    words = ["--recipe", "small", "--set", "iterations=2", "--set", "eval_every=2", "--snapshot", "second"]
    cli.run("train", "--phone", "sony", *words, cwd=root)
    assert cli.json("fsck", cwd=root)["damage"] == 0
    assert cli.json("gates", cwd=root)
    assert not (root / "corpus.db").exists(), "nothing fell back to SQLite"


def test_two_commands_at_once_lose_nothing(cli: CommandLine, root: Path) -> None:
    commands = [["curate", "--where", "not shot is missing", "--tag", f"tag {number}"] for number in range(3)]
    commands.append(["build-patches", "--size", "64", "--jobs", "1"])
    running = [
        subprocess.Popen(
            [DPEDKIT, *words], cwd=root, env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for words in commands
    ]
    for words, process in zip(commands, running, strict=True):
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, (words, out)
    with open_corpus(root, database(root)) as corpus:
        assert set(map(tuple, corpus.tags().values())) == {("tag 0", "tag 1", "tag 2")}
        assert len(corpus.tags()) == SHOTS
        assert corpus.decisions()["batch"].is_unique
        assert set(corpus.patches()["size"]) == {64}


def test_damage_is_named_and_mended_and_shards_are_compacted(cli: CommandLine, root: Path) -> None:
    assert cli.json("compact", cwd=root)["skipped"] == {}
    assert cli.json("fsck", cwd=root)["damage"] == 0
    before = shards(root)
    cli.run("build-patches", "--size", "48", "--jobs", 1, cwd=root)
    flipped, gone = sorted(shards(root).keys() - before.keys())[:2]
    data = bytearray((root / "patches" / flipped).read_bytes())
    data[-1] ^= 1
    (root / "patches" / flipped).write_bytes(data)
    (root / "patches" / gone).unlink()
    settings = root / "dpedkit.toml"
    settings.write_text(settings.read_text().replace("size_px = 100", "size_px = 48"))
    photo = next((root / "photos").rglob("*.jpg"))
    whole = photo.read_bytes()
    photo.write_bytes(whole[:-1])
    found = {fault["what"]: fault["kind"] for fault in cli.json("fsck", cwd=root, code=1)["faults"]}
    damage = {f"patches/{flipped}": "changed", f"patches/{gone}": "missing"}
    assert found == damage | {photo.relative_to(root).as_posix(): "size"}
    photo.write_bytes(whole)
    assert cli.json("fsck", "--repair", "--jobs", 1, cwd=root)["damage"] == 0
    assert cli.json("fsck", cwd=root)["damage"] == 0


def database(root: Path) -> str:
    line = next(line for line in (root / "dpedkit.toml").read_text().splitlines() if line.startswith("database"))
    return line.split('"')[1]
