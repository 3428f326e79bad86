from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tf_files import MAGIC, authors_tensors, block, messages, table, write

from dpedkit.errors import WeightsError
from dpedkit.train import load_generator
from dpedkit.train.crc32c import masked_crc32c
from dpedkit.train.networks import Generator
from dpedkit.train.tf_checkpoint import read_tf_checkpoint


@pytest.fixture
def truth() -> Generator:
    generator = Generator(width=2, blocks=1)
    for number, weight in enumerate(generator.state_dict().values()):
        weight.uniform_(-1, 1, generator=torch.Generator().manual_seed(number))
    return generator


@pytest.fixture
def prefix(tmp_path: Path, truth: Generator) -> Path:
    return write(tmp_path / "small_orig", authors_tensors(truth))


def test_crc32c_has_the_known_answers() -> None:
    """From RFC 3720, B.4, and the customary check value; masked as LevelDB does."""
    for data, crc in [(bytes(32), 0x8A9136AA), (bytes(range(32)), 0x46DD794E), (b"123456789", 0xE3069283)]:
        assert masked_crc32c(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 255, 4096, 4099])
def test_crc32c_of_any_length_is_that_of_its_bytes_one_by_one(size: int) -> None:
    data = random.Random(size).randbytes(size)
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    assert masked_crc32c(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001"])
def test_a_generator_comes_back_as_it_was_written(truth: Generator, prefix: Path, ending: str) -> None:
    read = load_generator(f"{prefix}{ending}").state_dict()
    for name, weight in truth.state_dict().items():
        assert torch.equal(read[name], weight), name


def test_the_authors_files_hold_forty_tensors(shared_data: Path) -> None:
    tensors = read_tf_checkpoint(shared_data / "dped_models" / "sony_orig")
    assert len(tensors) == 40
    assert sum(tensor.size for tensor in tensors.values()) == 401_475


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_changed_byte_of_an_index_is_noticed(prefix: Path, flip: int) -> None:
    index = prefix.with_name("small_orig.index")
    whole = index.read_bytes()
    for at in range(len(whole)):
        index.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        with pytest.raises(WeightsError, match="small_orig"):
            load_generator(prefix)


def test_changed_bytes_of_the_data_are_noticed(prefix: Path) -> None:
    data = prefix.with_name("small_orig.data-00000-of-00001")
    whole = data.read_bytes()
    for at in range(0, len(whole), 37):
        data.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(WeightsError, match="checksum"):
            load_generator(prefix)


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
def test_the_authors_files_with_a_byte_changed_or_cut_off_are_refused(
    shared_data: Path, tmp_path: Path, ending: str
) -> None:
    rng = random.Random(ending)
    for file in (shared_data / "dped_models").glob("sony_orig.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damaged = tmp_path / f"sony_orig.{ending}"
    whole = damaged.read_bytes()
    for _ in range(40):
        at = rng.randrange(len(whole))
        flipped = whole[:at] + bytes([whole[at] ^ rng.randint(1, 255)]) + whole[at + 1 :]
        for content in (flipped, whole[:at]):
            damaged.write_bytes(content)
            with pytest.raises(WeightsError, match="is not a whole TensorFlow V2 checkpoint") as caught:
                load_generator(tmp_path / "sony_orig")
            assert "\n" not in caught.value.cause


@pytest.mark.parametrize("name", ["small_orig.index", "small_orig.data-00000-of-00001"])
def test_truncated_files_are_noticed(prefix: Path, name: str) -> None:
    whole = prefix.with_name(name).read_bytes()
    for length in range(0, len(whole), 29):
        prefix.with_name(name).write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="not a whole TensorFlow"):
            load_generator(prefix)


def test_nonsense_under_right_checksums_is_noticed(prefix: Path, truth: Generator) -> None:
    """Random damage to the messages, then checksummed: it is refused, or it did not touch the weights."""
    rng = random.Random(0)
    records, _ = messages(authors_tensors(truth))
    for _ in range(1000):
        content = bytearray(block(records))
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        prefix.with_name("small_orig.index").write_bytes(table([bytes(content)]))
        try:
            read = load_generator(prefix).state_dict()
        except WeightsError:
            continue
        assert all(torch.equal(read[name], weight) for name, weight in truth.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" * 40, bytes(48), bytes(40) + MAGIC])
def test_foreign_files_are_named(prefix: Path, content: bytes) -> None:
    prefix.with_name("small_orig.index").write_bytes(content)
    with pytest.raises(WeightsError, match="not a whole TensorFlow V2 checkpoint") as caught:
        load_generator(prefix)
    assert caught.value.remedy


def test_a_missing_data_file_is_named(prefix: Path) -> None:
    prefix.with_name("small_orig.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match=r"data-00000-of-00001 cannot be read: No such file"):
        load_generator(prefix)


def test_other_networks_are_refused(tmp_path: Path, truth: Generator) -> None:
    tensors = authors_tensors(truth)
    others = {
        "no generator": {"dense/kernel": np.ones((3, 4), np.float32)},
        "nothing": {},
        "a layer missing": {name: value for name, value in tensors.items() if name != "generator/b3"},
        "a layer more": tensors | {"generator/W7": np.ones((1, 1, 2, 2), np.float32)},
        "wrong shape": tensors | {"generator/W2": np.ones((3, 3, 2, 3), np.float32)},
        "flat kernel": tensors | {"generator/W2": np.ones(36, np.float32)},
        "not finite": tensors | {"generator/b3": np.full(2, np.nan, np.float32)},
    }
    for name, other in others.items():
        with pytest.raises(WeightsError):
            load_generator(write(tmp_path / name, other))
    with pytest.raises(WeightsError, match="not float32"):
        load_generator(write(tmp_path / "integers", tensors, dtype=3))
