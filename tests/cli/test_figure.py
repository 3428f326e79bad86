"""dpedkit figure."""

from __future__ import annotations

import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from command_line import CommandLine
from judged_corpus import dslr_of, photos_of
from PIL import Image, ImageColor

from dpedkit.db import open_corpus
from dpedkit.errors import DpedError, UsageError
from dpedkit.images import read_rgb
from dpedkit.progress import Silent
from dpedkit.stages.figure.asking import Wish, check_box, find_shot, parse_box
from dpedkit.stages.figure.drawing import COLOURS, fitting_pt
from dpedkit.stages.figure.layout import LABEL_PT, Area, Layout, Shape, lay_out
from dpedkit.stages.figure.making import FigureReport, make_figure
from dpedkit.stages.held_out import HeldOutPhotos, dslr_on_phone, find_held_out
from dpedkit.stages.places import Rectangle
from dpedkit.train import enhance, load_generator
from dpedkit.train.metrics import psnr, ssim
from dpedkit.types import U8
from dpedkit.workspace import find_workspace

FIRST, SECOND, THIRD = Rectangle(200, 100, 64, 48), Rectangle(10, 150, 64, 48), Rectangle(33, 44, 40, 60)


@pytest.fixture(scope="session")
def shots(judged: Path) -> list[str]:
    with open_corpus(judged) as corpus:
        found: list[str] = corpus.photos("split = 'test' and role = 'phone'")["shot"].tolist()
    return found


def draw(root: Path, target: Path, dry_run: bool = False, overwrite: bool = False, **wish: Any) -> FigureReport:
    asked = replace(Wish(phone="sony"), **wish)
    return make_figure(
        find_workspace(root), target, asked, device="cpu", overwrite=overwrite, dry_run=dry_run, progress=Silent()
    )


def layout_of(made: FigureReport, wish: dict[str, Any], photo: tuple[int, int] = (320, 240)) -> Layout:
    """The layout that a figure must have, by the rows that it says it has."""
    by_shot: dict[str, list[tuple[int, int]]] = {}
    for row in made.rows:
        by_shot.setdefault(row.shot, []).append((row.width, row.height))
    asked = replace(Wish(), **wish)
    notes = sum(bool(column.stamp) for column in made.columns)
    return lay_out(
        [Shape(photo, boxes) for boxes in by_shot.values()],
        len(made.columns),
        width_mm=asked.width_mm,
        dpi=asked.dpi,
        overview=asked.overview,
        below=asked.metrics,
        notes=notes,
    )


def cut(picture: U8, area: Area) -> U8:
    return picture[area.top : area.top + area.height, area.left : area.left + area.width]


def pictures_in(page: pypdfium2.PdfPage) -> list[U8]:
    """The pictures of a page as they are stored, in the order in which they were drawn."""
    return [
        np.array(item.get_bitmap(render=False).to_pil().convert("RGB"))
        for item in page.get_objects()
        if isinstance(item, pypdfium2.PdfImage)
    ]


@pytest.fixture(scope="session")
def versions(judged: Path, shots: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder of pictures made elsewhere, and what each method makes of a shot's whole photo."""
    folder = tmp_path_factory.mktemp("elsewhere")
    photos = dict(zip(shots, photos_of(judged), strict=True))
    for photo in photos.values():
        Image.fromarray(255 - read_rgb(photo)).save(folder / f"{photo.stem}.png")
    network = load_generator(judged / "runs" / "sony-small")

    def whole(shot: str, method: str) -> U8:
        rgb = read_rgb(photos[shot])
        if method == "sony-small":
            return enhance(network, rgb)
        return {"phone": rgb, "APE": 255 - rgb, "dslr": read_rgb(dslr_of(photos[shot]))}[method]

    return folder, whole


def test_a_pngs_crops_are_what_methods_make_of_whole_photos(
    judged: Path, shots: list[str], versions: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, whole = versions
    methods = (("phone", "Input"), ("APE", ""), ("small", "Ours"), ("dslr", "Canon"))
    boxes = ((shots[5], FIRST), (shots[1], SECOND), (shots[5], SECOND))
    wish = {"boxes": boxes, "methods": methods, "externals": (("APE", folder),), "overview": True}
    made = draw(judged, tmp_path / "a.png", **wish)
    assert [(row.shot, row.x) for row in made.rows] == [(shots[5], 200), (shots[5], 10), (shots[1], 10)]
    assert [column.label for column in made.columns] == ["Input", "APE", "Ours", "Canon"]
    layout = layout_of(made, wish)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGB"
        assert image.info["dpi"] == pytest.approx((made.dpi, made.dpi), abs=0.02)
        assert "Software" not in image.info
        picture = np.array(image)
    assert picture.shape[1::-1] == made.size_px == layout.size
    assert layout.zoom == made.zoom >= 2
    for row, areas in zip(made.rows, layout.crops, strict=True):
        box = Rectangle(row.x, row.y, row.width, row.height)
        for column, area in zip(made.columns, areas, strict=True):
            truth = box.of(whole(row.shot, column.name)).repeat(made.zoom, axis=0).repeat(made.zoom, axis=1)
            assert np.array_equal(cut(picture, area), truth), (row, column)
    # frames touch the crops, and have the colours of the boxes on the whole photo
    for index, colour in ((0, COLOURS[0]), (1, COLOURS[1]), (2, COLOURS[0])):
        area, rgb = layout.crops[index][2], ImageColor.getrgb(colour)
        for y, x in ((area.top - 1, area.left), (area.top + area.height, area.left), (area.top, area.left - 1)):
            assert tuple(picture[y, x]) == rgb
        whole_photo = layout.overviews[0 if index < 2 else 1]
        row, scale = made.rows[index], whole_photo.width / 320
        edge = picture[round(whole_photo.top + (row.y + 20) * scale), round(whole_photo.left + row.x * scale)]
        assert np.abs(edge.astype(int) - rgb).max() < 30
    whole_photo = cut(picture, layout.overviews[1])
    small = np.array(
        Image.fromarray(whole(shots[1], "phone")).resize(whole_photo.shape[1::-1], Image.Resampling.LANCZOS)
    )
    assert np.mean(np.any(whole_photo != small, axis=-1)) < 0.1  # but for the box


def test_a_pdf_keeps_pixels_and_text_and_looks_like_the_png(
    judged: Path, shots: list[str], versions: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, whole = versions
    for photo in photos_of(judged)[2:3]:
        shutil.copy(dslr_of(photo), folder / f"{photo.stem}.png")  # as good as can be
    wish = {
        "boxes": ((shots[2], FIRST), (shots[2], THIRD)),
        "methods": (("phone", "$Input_1$ ф"), ("APE", ""), ("dslr", "")),
        "externals": (("APE", folder),),
        "metrics": True,
        "width_mm": 82.5,
    }
    made = draw(judged, tmp_path / "a.pdf", **wish)
    draw(judged, tmp_path / "a.png", **wish)
    data = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in data
    assert b"/Type3" not in data
    assert b"Date" not in data
    page = pypdfium2.PdfDocument(data)[0]
    assert page.get_width() == pytest.approx(82.5 / 25.4 * 72, abs=0.01)
    stored = pictures_in(page)
    for index, row in enumerate(made.rows):
        box = Rectangle(row.x, row.y, row.width, row.height)
        for picture, column in zip(stored[3 * index :], made.columns, strict=False):
            assert np.array_equal(picture, box.of(whole(row.shot, column.name))) or column.name == "APE"
        ours, theirs = (box.of(whole(row.shot, name)) for name in ("phone", "dslr"))
        assert (row.psnr["phone"], row.ssim["phone"]) == (psnr(ours, theirs), ssim(ours, theirs))
    headings, *lines = page.get_textpage().get_text_range().splitlines()
    assert headings.split() == ["$Input_1$", "ф", "APE", "DSLR"]
    first = made.rows[0]
    assert lines[0].split("  ")[0].startswith(f"{first.psnr['phone']:.2f} / {first.ssim['phone']:.3f}")
    assert "∞ / 1.000" in lines[0]
    assert "PSNR / SSIM" in lines[0]
    drawn = np.array(page.render(scale=made.dpi / 72).to_pil().convert("RGB")).astype(float)
    png = np.array(Image.open(tmp_path / "a.png")).astype(float)
    height, width = (min(lengths) for lengths in zip(drawn.shape[:2], png.shape[:2], strict=True))
    assert np.abs(drawn[:height, :width] - png[:height, :width]).mean() < 4


def test_lanczos_magnifies_smoothly_in_both(judged: Path, shots: list[str], tmp_path: Path) -> None:
    wish = {"boxes": ((shots[0], FIRST),), "methods": (("phone", ""),), "filter": "lanczos", "width_mm": 60.0}
    made = draw(judged, tmp_path / "a.pdf", **wish)
    draw(judged, tmp_path / "a.png", **wish)
    own = Image.fromarray(np.ascontiguousarray(FIRST.of(read_rgb(photos_of(judged)[0]))))
    area = layout_of(made, wish).crops[0][0]
    truth = np.array(own.resize((64 * made.zoom, 48 * made.zoom), Image.Resampling.LANCZOS))
    assert np.array_equal(cut(np.array(Image.open(tmp_path / "a.png")), area), truth)
    assert np.array_equal(pictures_in(pypdfium2.PdfDocument(tmp_path / "a.pdf")[0])[0], truth)


def test_the_command_that_it_prints_makes_the_same_bytes(cli: CommandLine, judged: Path, tmp_path: Path) -> None:
    words = [
        "figure",
        "--device",
        "cpu",
        "--overview",
        "--metrics",
        "--crop",
        "40",
        "--width",
        "3.25in",
        "--dpi",
        "200",
    ]
    wish = {"overview": True, "metrics": True, "crop_px": 40, "width_mm": 82.55, "dpi": 200}
    planned = draw(judged, tmp_path / "a.pdf", dry_run=True, **wish)
    assert not list(tmp_path.iterdir())
    assert planned.file is None
    made = cli.json(*words, "-o", tmp_path / "a.pdf", cwd=judged)
    assert made["command"] == planned.command
    assert all(row["chosen"] and (row["width"], row["height"]) == (40, 40) for row in made["rows"])
    assert len({row["shot"] for row in made["rows"]}) == 3
    assert [column["label"] for column in made["columns"]] == ["sony", "small", "DSLR"]
    again = shlex.split(made["command"])[1:]
    again[again.index("-o") + 1] = "b.pdf"
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsavefig.bbox: tight\n")  # somebody's own taste
    assert "chosen" not in cli.run("-C", judged, *again, cwd=tmp_path).stdout
    first = (tmp_path / "a.pdf").read_bytes()
    assert (tmp_path / "b.pdf").read_bytes() == first
    for name in ("a.png", "b.png"):
        draw(judged, tmp_path / name, **wish)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    for word in (b"dpedkit", b"atplotlib", str(tmp_path).encode()):  # nothing tells a reviewer whose it is
        assert word not in first


def test_what_is_not_for_results_is_stamped(judged: Path, shots: list[str], tmp_path: Path) -> None:
    root = Path(shutil.copytree(judged, tmp_path / "ws"))
    with sqlite3.connect(root / "corpus.db") as database:
        database.execute(
            """UPDATE run SET config = json_set(config, '$.for_results', json('false'), '$.vgg', 'random:0')"""
        )
    wish = {"boxes": ((shots[0], FIRST),), "methods": (("phone", ""), ("sony-small", "Ours"))}
    made = draw(root, tmp_path / "a.pdf", metrics=True, **wish)
    stamp = "not for results: trained with random:0"
    assert made.columns[1].stamp == stamp
    text = pypdfium2.PdfDocument(tmp_path / "a.pdf")[0].get_textpage().get_text_range()
    assert f"Ours: {stamp}" in text
    assert "PSNR (dB) / SSIM against the DSLR" in text  # since no column says so
    draw(root, tmp_path / "a.png", **wish)
    foot = layout_of(made, wish).notes[0]
    red = cut(np.array(Image.open(tmp_path / "a.png")).astype(int), foot)
    assert np.any(red[..., 0] - red[..., 1] > 100)


def test_the_dslrs_crops_lie_on_the_phones_pixels(finished: Callable[[str], Path], tmp_path: Path) -> None:
    root = finished("patched")
    workspace = find_workspace(root)
    made = make_figure(
        workspace,
        tmp_path / "a.pdf",
        Wish(phone="iphone", crop_px=64, methods=(("dslr", ""),)),
        device="cpu",
        overwrite=False,
        dry_run=False,
        progress=Silent(),
    )
    stored = pictures_in(pypdfium2.PdfDocument(tmp_path / "a.pdf")[0])
    with open_corpus(root) as corpus:
        patches, _ = find_held_out(corpus, "test", ["iphone"])
        truth = {
            photo.shot: dslr_on_phone(workspace, corpus, photo.pair, photo.rgb.shape)[0]
            for photo in HeldOutPhotos(workspace, corpus, patches, "iphone")
        }
    for row, picture in zip(made.rows, stored, strict=True):
        assert np.array_equal(picture, Rectangle(row.x, row.y, row.width, row.height).of(truth[row.shot]))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"photos": ("99",)}, "no photo '99'"),
    ({"photos": ("0000",)}, "is in the train split"),
    ({"boxes": (("", Rectangle(300, 0, 30, 30)),)}, "reaches beyond the photo.*320 x 240 px"),
    ({"boxes": (("", Rectangle(-1, 0, 30, 30)),)}, "reaches beyond the photo"),
    ({"methods": (("smal", ""),)}, "no method 'smal', did you mean 'small'.*there are: phone, sony-small"),
    ({"methods": (("phone", "漢"),)}, "fonts have no 漢"),
    ({"externals": (("APE", Path("nowhere")),)}, "no such folder"),
    ({"externals": (("dslr", Path()),)}, "another method has that name"),
    ({"externals": (("APE", Path()),), "methods": (("APE", ""),)}, "nothing of it is there"),
    ({"phone": "nokia"}, "no patches of nokia"),
    ({"width_mm": 15.0}, "columns in 15 mm"),
    ({"crop_px": 400}, "no 400 x 400 px that phone and DSLR both show.*--crop"),
]


@pytest.mark.parametrize(("wish", "told"), BAD, ids=[told for _, told in BAD])
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(
    judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: dict[str, Any], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if "photos" in wish and wish["photos"] == ("0000",):
        with open_corpus(judged) as corpus:
            wish = {"photos": (corpus.shots()["shot"][0],)}
    with pytest.raises(DpedError) as caught:
        draw(judged, tmp_path / "a.pdf", **wish)
    assert caught.value.remedy
    assert re.search(told, f"{caught.value.cause} {caught.value.remedy}")
    assert not list(tmp_path.iterdir())


def test_bad_words_and_targets_are_refused(cli: CommandLine, judged: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.png"
    taken.write_bytes(b"mine")
    for target, told in (
        (tmp_path / "a.jpg", "ends neither with .pdf nor with .png"),
        (tmp_path / "no" / "a.pdf", "no folder"),
        (taken, "is there already"),
    ):
        with pytest.raises(UsageError, match=told):
            draw(judged, target)
    for words, told in ((["--box", "1,2,0,4"], "0 x 4 px hold nothing"), (["--width", "3furlong"], "no length")):
        assert told in cli.error("figure", "-o", tmp_path / "a.pdf", *words, cwd=judged, code=2)
    assert taken.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [taken]
    draw(judged, taken, boxes=(("", FIRST),), methods=(("phone", ""),), overwrite=True)
    assert taken.read_bytes().startswith(b"\x89PNG")


def test_names_of_photos_and_boxes() -> None:
    assert parse_box("1,2,3,4") == ("", Rectangle(1, 2, 3, 4))
    assert parse_box("demo/0012:1,2,3,4") == ("demo/0012", Rectangle(1, 2, 3, 4))
    for text in ("1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,-3,4", "12:1,2,3,0", "1.5,2,3,4"):
        with pytest.raises(UsageError):
            parse_box(text)
    shots = ["a/0001", "a/0012", "b/0001"]
    splits = dict.fromkeys(shots, "test") | {"a/0003": "train", "a/0004": "test"}
    for word in ("a/0012", "0012", "12", "a/0012_sony", "0012_sony"):
        assert find_shot(word, "sony", shots, splits, "test") == "a/0012"
    for word, told in (
        ("1", "may be a/0001, b/0001"),
        ("3", "a/0003 is in the train split"),
        ("4", "no photo of sony with patches"),
        ("0011", "did you mean"),
    ):
        with pytest.raises(UsageError, match=told):
            find_shot(word, "sony", shots, splits, "test")


def test_a_box_that_the_dslr_does_not_show_is_told_where_it_could_be() -> None:
    known = np.zeros((100, 200), dtype=bool)
    known[10:90, 20:180] = True
    check_box("p", Rectangle(20, 10, 160, 80), known, compared=True)
    check_box("p", Rectangle(0, 0, 30, 30), known, compared=False)
    with pytest.raises(UsageError) as caught:
        check_box("p", Rectangle(0, 50, 30, 30), known, compared=True)
    assert caught.value.remedy.endswith("--box p:20,50,30,30")
    with pytest.raises(UsageError, match="make it smaller"):
        check_box("p", Rectangle(0, 0, 30, 90), known, compared=True)


@pytest.mark.parametrize("overview", [False, True])
@pytest.mark.parametrize("boxes", [[(64, 48)], [(64, 48)] * 4, [(200, 200), (50, 20), (31, 97)]])
@pytest.mark.parametrize("width_mm", [82.5, 175.0])
def test_a_layout_fills_its_width_and_nothing_overlaps(
    boxes: list[tuple[int, int]], width_mm: float, overview: bool
) -> None:
    shapes = [Shape((320, 240), boxes), Shape((240, 320), boxes[:1])]
    made = lay_out(shapes, 4, width_mm=width_mm, dpi=300, overview=overview, below=True, notes=2)
    assert made.dpi >= 299
    assert made.size[0] / made.dpi * 25.4 == pytest.approx(width_mm)
    assert made.crops[0][0].width == made.zoom * max(width for width, _ in boxes)
    every = [
        *made.headings,
        *made.overviews,
        *(area for row in [*made.crops, *made.below] for area in row),
        *made.notes,
    ]
    taken = np.zeros(made.size[::-1], dtype=int)
    for area in every:
        cut(taken, area)[:] += 1  # type: ignore[arg-type]
        assert cut(taken, area).shape == (area.height, area.width)  # type: ignore[arg-type]
    assert taken.max() == 1
    if overview:
        assert made.overviews[0].width / made.overviews[0].height == pytest.approx(4 / 3, rel=0.02)
        if boxes[1:]:
            assert made.overviews[0].width <= 0.41 * made.size[0]
        else:
            assert made.overviews[0].height == pytest.approx(made.crops[0][0].height, abs=3)


def test_long_labels_are_written_smaller() -> None:
    areas = [Area(0, 0, 300, 30)]
    assert fitting_pt(["short"], areas, LABEL_PT, 300) == LABEL_PT
    assert 4 < fitting_pt(["sony-dped-with-a-long-name"], areas, LABEL_PT, 300) < LABEL_PT
