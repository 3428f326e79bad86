from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dpedkit.db import Corpus, open_shard, write_shard
from dpedkit.db.pairs import ShardPairs
from dpedkit.errors import CorpusError, StorageError
from dpedkit.types import PairSource


def random_patches(count: int, side: int = 5) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_a_shard_gives_back_its_pixels_and_is_named_by_its_content(tmp_path: Path) -> None:
    phone, dslr = random_patches(7), random_patches(7) // 2
    name = write_shard(tmp_path, phone, dslr)
    pixels = open_shard(tmp_path, name)
    assert np.array_equal(pixels[:, 0], phone)
    assert np.array_equal(pixels[:, 1], dslr)
    assert name == f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}.npy"
    assert write_shard(tmp_path, phone, dslr) == name
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("shapes", [((2, 5, 5, 3), (3, 5, 5, 3)), ((0, 5, 5, 3),) * 2, ((2, 5, 4, 3),) * 2])
def test_arrays_that_are_no_pairs_are_refused(tmp_path: Path, shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="N, S, S, 3"):
        write_shard(tmp_path, *(np.zeros(shape, np.uint8) for shape in shapes))


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        write_shard(tmp_path / "missing", random_patches(1), random_patches(1))


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(data[:-1])
        case "foreign":
            np.save(path, np.zeros((8, 1, 6, 6, 3), np.uint8))
        case "garbage":
            path.write_bytes(b"not an array")


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "foreign", "garbage"])
def test_a_damaged_shard_is_named_with_its_remedy(build: Callable, corpus: Corpus, how: str) -> None:
    build.fill(shots=2)
    corpus.store.assign_splits(seed=0)
    source = corpus.pair_source(corpus.store.freeze("sony", "train").hash)
    name = corpus.patches().query("phone == 'sony' and split == 'train'")["shard"].iloc[0]
    damage(corpus.shard_folder / name, how)
    assert list(corpus.broken_shards()) == [name]
    for read in (lambda: corpus.pair_source("sony", "train"), lambda: pickle.loads(pickle.dumps(source))[0]):
        with pytest.raises(CorpusError, match=name) as caught:
            read()
        assert "build-patches" in caught.value.remedy


def test_a_shard_with_fewer_rows_than_the_index_names_is_refused(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=1)
    corpus.store.assign_splits(seed=0)
    path = corpus.shard_folder / corpus.pairs().query("phone == 'sony'")["shard"].iloc[0]
    np.save(path, np.load(path)[:2])
    with pytest.raises(CorpusError, match="2 rows"):
        corpus.pair_source("sony", "train")


def test_a_source_returns_exactly_the_written_pixels_in_any_order(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=12)
    corpus.store.assign_splits(seed=0)
    snapshot = corpus.store.freeze("sony", "train")
    source: PairSource = corpus.pair_source(snapshot.hash)
    patches = corpus.patches().query("phone == 'sony' and split == 'train' and keep")
    keys = sorted(patches["patch"])
    assert len(source) == snapshot.patches == len(keys) > 40
    assert patches["shard"].nunique() > 5
    assert source.patch_px == 6
    assert source.content_hash == hashlib.sha256("".join(f"{key}\n" for key in keys).encode()).hexdigest()

    rows = np.random.default_rng(0).integers(0, len(source), 100)
    for reader in (source, pickle.loads(pickle.dumps(source)), corpus.pair_source("sony", "train")):
        phone, dslr = reader.read_batch(rows)
        assert phone.flags.writeable
        assert phone.dtype == dslr.dtype == np.uint8
        for position, row in enumerate(rows):
            assert np.array_equal(phone[position], build.pixels[keys[row]][0])
            assert np.array_equal(dslr[position], build.pixels[keys[row]][1])
    assert np.array_equal(source[3][1], build.pixels[keys[3]][1])
    assert len(source.read_batch([])[0]) == 0
    with pytest.raises(IndexError):
        source[len(source)]


def test_a_source_opens_only_the_shards_it_reads_and_pickles_without_them(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=8)
    corpus.store.assign_splits(seed=0)
    source = corpus.pair_source("sony", "train")
    fresh = len(pickle.dumps(source))
    source.read_batch(range(len(source)))
    assert len(pickle.dumps(source)) == fresh


def limit_open_files(soft: int, hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def read_all(folder: Path, names: list[str]) -> tuple[bytes, bytes]:
    source = ShardPairs(folder, names, np.arange(len(names)), np.zeros(len(names), np.int64), "")
    phone, dslr = source.read_batch([*range(len(source)), 0])
    return phone[:, 0, 0, 0].tobytes(), dslr[:, 0, 0, 0].tobytes()


@pytest.mark.parametrize("hard", [256, 1024])
def test_there_may_be_more_shards_than_a_process_may_have_files_open(tmp_path: Path, hard: int) -> None:
    values = np.arange(300, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    pixels = np.broadcast_to(values[:, :, None, None, None], (300, 2, 5, 5, 3))
    names = [write_shard(tmp_path, pair[None, 0], pair[None, 1]) for pair in pixels]
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, initializer=limit_open_files, initargs=(200, hard)) as pool:
        phone, dslr = pool.submit(read_all, tmp_path, names).result()
    wanted = [*values, values[0]]
    assert (phone, dslr) == tuple(bytes(pair[side] for pair in wanted) for side in (0, 1))
