"""dpedkit export: every layout as its readers read it, whole, the same bytes each time, and nothing private in it."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine, tree
from PIL import Image
from small_corpus import OWNER, SCENE, SERIAL, SESSION, SmallCorpus, hand_on, make_corpus

from dpedkit.db import open_corpus
from dpedkit.db.exporters import find_exporter
from dpedkit.errors import CorpusError
from dpedkit.images import read_meta


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> SmallCorpus:
    return make_corpus(tmp_path_factory.mktemp("export") / "ws")


@pytest.fixture(scope="module")
def exported(corpus: SmallCorpus) -> Any:
    """Exports all that is in use in a layout, once for all tests."""

    def run(layout: str) -> Path:
        target = corpus.root.parent / layout
        if not target.exists():
            hand_on(corpus.root, target, layout)
        return target

    return run


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.array(image)


def paired_image_dataset(gt: Path, lq: Path, meta_info: Path, template: str = "{}") -> list[tuple[Path, Path]]:
    """BasicSR's rules, basicsr/data/data_util.py, paired_paths_from_meta_info_file."""
    names = [line.strip().split(" ")[0] for line in meta_info.read_text().splitlines()]
    stems = [(Path(name).stem, Path(name).suffix) for name in names]
    return [(lq / f"{template.format(stem)}{ending}", gt / f"{stem}{ending}") for stem, ending in stems]


def test_basicsr_finds_every_pair_and_pixel(corpus: SmallCorpus, exported: Any) -> None:
    out = exported("basicsr")
    for phone in ("iphone", "sony"):
        for split in ("train", "val", "test"):
            home = out / phone / split
            meta_info = out / phone / f"meta_info_{split}.txt"
            found = paired_image_dataset(home / "gt", home / "lq", meta_info)
            wanted = corpus.list(phone, split)
            assert len(found) == len(wanted) == (24 if split == "train" else 8)
            for paths, pair in zip(found, wanted, strict=True):
                assert all((pixels(path) == side).all() for path, side in zip(paths, pair, strict=True))
            assert {path.name for path in (home / "gt").iterdir()} == {path.name for _, path in found}
            assert all(line.endswith(".png (100,100,3)") for line in meta_info.read_text().splitlines())


def test_what_basicsr_got_comes_back_pixel_for_pixel(
    cli: CommandLine, corpus: SmallCorpus, exported: Any, tmp_path: Path
) -> None:
    home = exported("basicsr") / "sony"
    cli.run("init", "ws", cwd=tmp_path)
    folders = ["--input", home / "test" / "lq", "--target", home / "test" / "gt"]
    meta_info = home / "meta_info_test.txt"
    cli.run(
        *["import", "pairs", *folders, "--meta-info", meta_info, "--phone", "sony", "--jobs", "1"],
        cwd=tmp_path / "ws",
    )
    with open_corpus(tmp_path / "ws") as back:
        paths = back.pairs().set_index("scene")[["phone_path", "dslr_path"]].sort_index()
    for names, pair in zip(paths.itertuples(index=False), corpus.list("sony", "test"), strict=True):
        assert all((pixels(tmp_path / "ws" / name) == side).all() for name, side in zip(names, pair, strict=True))


def test_datasets_reads_both_pictures_of_every_pair(
    corpus: SmallCorpus, exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    out = exported("hf")
    for where in ({"path": "imagefolder", "data_dir": str(out)}, {"path": str(out)}):
        loaded = datasets.load_dataset(**where, cache_dir=str(tmp_path))
        assert {name: len(rows) for name, rows in loaded.items()} == {"train": 48, "validation": 16, "test": 16}
        for name, rows in loaded.items():
            for row in rows:
                assert corpus.home[row["patch"]] == (row["device"], {"validation": "val"}.get(name, name))
                pair = corpus.pixels[row["patch"]]
                assert all(
                    (np.array(row[side]) == own).all() for side, own in zip(("phone", "dslr"), pair, strict=True)
                )
    one = datasets.load_dataset("imagefolder", data_dir=str(out / "test" / "sony"), split="train", cache_dir=tmp_path)
    assert {row["device"] for row in one} == {"sony"}


@pytest.mark.parametrize(
    ("licence", "short", "long"),
    [("", "unknown", None), ("cc-by-4.0", "cc-by-4.0", None), ('ask "me": first', "other", 'ask "me": first')],
)
def test_the_hub_reads_the_card(licence: str, short: str, long: str | None) -> None:
    hub = pytest.importorskip("huggingface_hub")
    told = hub.DatasetCard(find_exporter("hf").front_matter(licence, ["test", "val"]) + "# Title\n").data
    assert (told.license, told.to_dict().get("license_name")) == (short, long)
    files = told.to_dict()["configs"][0]["data_files"]
    assert files == [{"split": split, "path": f"{split}/**"} for split in ("test", "validation")]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_every_sample(corpus: SmallCorpus, exported: Any) -> None:
    wds = pytest.importorskip("webdataset")
    out = exported("webdataset")
    seen = {}
    for shard in sorted(out.glob("*.tar")):
        for phone, dslr, told in (
            wds.WebDataset(str(shard), shardshuffle=False).decode("rgb8").to_tuple("phone.png", "dslr.png", "json")
        ):
            assert all(
                (read == own).all() for read, own in zip((phone, dslr), corpus.pixels[told["patch"]], strict=True)
            )
            seen[told["patch"]] = (told["device"], told["split"])
    assert seen == corpus.home
    with tarfile.open(out / "sony-test-000000.tar") as tar:
        members = tar.getmembers()
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(0, 0, "")}


def load_batch(dped_dir: str, phone: str, folder: str) -> tuple[Any, Any]:
    """The rules of the authors' load_dataset.py, load_batch and load_test_data: count the files, open 0.jpg and on."""
    imageio = pytest.importorskip("imageio.v2")
    directories = [f"{dped_dir}{phone}/{folder}/{phone}/", f"{dped_dir}{phone}/{folder}/canon/"]
    count = len([path for path in Path(directories[0]).iterdir() if path.is_file()])
    data = np.zeros((2, count, 100 * 100 * 3))
    for side, directory in enumerate(directories):
        for i in range(count):
            data[side, i] = np.reshape(np.asarray(imageio.imread(f"{directory}{i}.jpg")), [1, 100 * 100 * 3])
    return data[0], data[1]


def test_the_dped_authors_code_reads_it(corpus: SmallCorpus, exported: Any) -> None:
    out = exported("dped")
    for split, folder in (("train", "training_data"), ("test", "test_data/patches")):
        sides = load_batch(f"{out}/", "sony", folder)
        wanted = corpus.list("sony", split)  # type: ignore[arg-type]
        assert len(sides[0]) == len(wanted)
        for side, read in enumerate(sides):
            own = np.stack([pair[side].reshape(-1) for pair in wanted])
            assert np.abs(read - own).max() <= 6  # what JPEG's rounding costs, and nothing more
    assert "8 of sony in val" in (out / "README.md").read_text()


def test_dped_comes_back_as_it_left(cli: CommandLine, exported: Any, tmp_path: Path) -> None:
    out = exported("dped")
    cli.run("init", "ws", cwd=tmp_path)
    report = cli.json("import", "dped", out, "--jobs", "1", cwd=tmp_path / "ws")
    assert (report["patches"], report["failures"], report["unpaired"]) == (2 * (24 + 8), {}, {})
    with open_corpus(tmp_path / "ws") as back:
        source = back.pair_source("sony", "test")
        read = {phone.tobytes() + dslr.tobytes() for phone, dslr in (source[row] for row in range(len(source)))}
    files = [out / "sony" / "test_data" / "patches" / device for device in ("sony", "canon")]
    assert read == {b"".join(pixels(folder / f"{row}.jpg").tobytes() for folder in files) for row in range(8)}


@pytest.mark.parametrize("layout", ["basicsr", "dped", "hf", "webdataset"])
def test_everything_is_told_and_nothing_private(corpus: SmallCorpus, exported: Any, layout: str) -> None:
    out = exported(layout)
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode == 0
    listed = {line.split("  ", 1)[1] for line in (out / "SHA256SUMS").read_text().splitlines()}
    assert listed == tree(out).keys() - {"SHA256SUMS"}
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    home = {key: home for key, home in corpus.home.items() if layout != "dped" or home[1] != "val"}
    assert {row["patch"]: (row["phone"], row["split"]) for row in rows} == home
    with open_corpus(corpus.root) as held:
        patches = held.patches("used").set_index("patch")
        pairs = held.pairs().set_index(["shot", "phone"])
    shots = patches["shot"].to_dict()
    assert len({(row["shot"], shots[row["patch"]]) for row in rows}) == len({shots[key] for key in home})
    for row in rows:
        own, pair = patches.loc[row["patch"]], pairs.loc[(shots[row["patch"]], row["phone"])]
        assert [row[name] for name in ("x", "y", "ncc", "residual_px")] == [
            own[name] for name in ("x", "y", "ncc", "residual_px")
        ]
        assert row["sharpness_phone"] is None
        assert row["crlb_px"] == (own["crlb_px"] if own["crlb_px"] < 1 else None)  # JSON knows no infinity
        assert (row["phone_sha256"], row["dslr_sha256"]) == (pair["phone_sha256"], pair["dslr_sha256"])
    card = (out / "README.md").read_text()
    assert ("| iphone | 24 | 8 |" if layout == "dped" else "| iphone | 24 | 8 | 8 |") in card
    assert "default@2#1234" in card
    assert "| dslr | dslr | Canon EOS 70D |" in card  # as its photo tells
    assert "| sony | phone | sony model |" in card
    for path in tree(out):
        data = (out / path).read_bytes()
        assert not any(word.encode() in data for word in (SESSION, SCENE, SERIAL, "Exif", str(corpus.root)))


def test_whole_photos_leave_without_what_is_private(corpus: SmallCorpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = hand_on(corpus.root, out, "basicsr", photos=True)
    (left_out,) = report.photos_left_out.items()
    assert left_out == (
        f"photos/{SESSION}/0004_dslr.dng",
        "only JPEG and PNG are stripped of what is private without a loss",
    )
    told = [json.loads(line) for line in (out / "photos.jsonl").read_text().splitlines()]
    originals = {digest: corpus.root / path for path, digest in tree(corpus.root).items() if path.endswith(".jpg")}
    assert {row["original_sha256"] for row in told} == originals.keys()
    assert {row["file"] for row in told} == {path for path in tree(out) if path.startswith("photos/")}
    shots = {row["shot"] for row in map(json.loads, (out / "manifest.jsonl").read_text().splitlines())}
    for row in told:
        assert (pixels(out / row["file"]) == pixels(originals[row["original_sha256"]])).all()
        assert row["shot"] in shots
        data = (out / row["file"]).read_bytes()
        assert not any(word in data for word in (b"GPS", b"2026:05:01", OWNER.encode()))
        assert read_meta(out / row["file"]).latitude is None
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode == 0
    assert "14 whole photos, of whose EXIF" in (out / "README.md").read_text()
    assert hand_on(corpus.root, out, "basicsr", photos=True).there

    hand_on(corpus.root, tmp_path / "mine", "hf", photos=True, keep_private=True)
    kept = tree(tmp_path / "mine").values()
    assert originals.keys() < set(kept)


def test_dped_has_a_place_for_the_phones_test_photos(cli: CommandLine, corpus: SmallCorpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = cli.json("export", "dped", out, "--photos", "--phone", "sony", "--jobs", "1", cwd=corpus.root)
    assert (report["photos"], report["photos_left_out"]) == (1, {})
    photo = out / "sony" / "test_data" / "full_size_test_images" / "0.jpg"
    assert (pixels(photo) == pixels(corpus.root / "photos" / SESSION / "0005_sony.jpg")).all()
    again = hand_on(corpus.root, tmp_path / "again", "dped", photos=True, phones=("sony",))
    assert again.photos == 1
    assert tree(out) == tree(tmp_path / "again")


def test_a_photo_that_is_not_what_it_was_is_not_handed_on(tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "ws", size=16).root
    photo = root / "photos" / SESSION / "0001_sony.jpg"
    photo.write_bytes(photo.read_bytes() + b"more")
    with pytest.raises(CorpusError, match=r"0001_sony\.jpg has changed"):
        hand_on(root, tmp_path / "out", "hf", photos=True)
    photo.unlink()
    with pytest.raises(CorpusError, match=r"0001_sony\.jpg is missing"):
        hand_on(root, tmp_path / "out", "hf", photos=True)
    assert not (tmp_path / "out").exists()
