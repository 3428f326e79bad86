"""What changed from shot to shot, and between the photos of a pair, as the database computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd
import pytest

from dpedkit.db import Corpus, DeviceRecord, SessionRecord, ShotRecord

GRAY = {"mean_red": 0.2, "mean_green": 0.2, "mean_blue": 0.2, "sharpness": 1000.0}
GAINS = {"gain_red": 2.0, "gain_green": 1.0, "gain_blue": 0.5, "sharpness_ratio": 1.25}


@pytest.fixture
def measured(build: Callable, corpus: Corpus) -> Callable[[str, Mapping[str, float]], None]:
    def add(photo: str, values: Mapping[str, float]) -> None:
        corpus.store.add_measures(photos={photo: values}, alignments={}, version="1")

    return add


def by_shot(corpus: Corpus, device: str) -> pd.DataFrame:
    photos = corpus.photos(f"device = '{device}'")
    return photos.set_index("shot")[["exposure_drift_ev", "white_drift", "sharpness_drift"]]


def test_drift_is_against_the_previous_photo_of_the_device(build: Callable, corpus: Corpus, measured: Callable) -> None:
    build.fill(shots=4)
    sony = [build.photo(f"s/{number:04d}", "sony").sha256 for number in (1, 2, 3, 4)]
    measured(sony[0], GRAY)
    measured(sony[1], {**GRAY, "mean_red": 0.4, "mean_green": 0.4, "mean_blue": 0.4, "sharpness": 700.0})
    measured(sony[2], {**GRAY, "mean_red": 0.4, "mean_green": 0.4, "mean_blue": 0.1})
    found = by_shot(corpus, "sony")
    assert found.loc["s/0001"].isna().all(), "nothing comes before the first"
    assert found.loc["s/0002"].tolist() == pytest.approx([1.0, 0.0, -0.3])
    darker = math.log2((0.9278 * 0.4 + 0.0722 * 0.1) / 0.4)
    assert found.loc["s/0003"].tolist() == pytest.approx([darker, 2.0, 3 / 7])
    assert found.loc["s/0004"].isna().all(), "it is not measured"
    assert by_shot(corpus, "iphone").isna().all().all(), "other devices are other series"


def test_a_session_is_a_series_of_its_own(build: Callable, corpus: Corpus, measured: Callable) -> None:
    build.fill(shots=1)
    corpus.store.add_session(SessionRecord("t", "tripod", 2), [DeviceRecord("sony", "phone")])
    later = replace(build.photo("t/0002", "sony"), **GRAY)
    corpus.store.add_shot(ShotRecord("t/0002", "t", 2), [later])
    measured(build.photo("s/0001", "sony").sha256, {**GRAY, "sharpness": 10.0})
    assert by_shot(corpus, "sony").isna().all().all()


def test_raw_and_jpeg_are_two_series(build: Callable, corpus: Corpus, measured: Callable) -> None:
    build.fill(shots=2)
    for shot, sharpness in (("s/0001", 100.0), ("s/0002", 50.0)):
        raw = replace(build.photo(shot, "sony"), path=f"photos/{shot}_sony.dng", sha256=shot, format="dng")
        corpus.store.add_photo(shot, raw)
        measured(raw.sha256, {**GRAY, "sharpness": sharpness})
        measured(build.photo(shot, "sony").sha256, GRAY)
    second = corpus.photos("device = 'sony' and shot = 's/0002'").set_index("format")
    assert second["sharpness_drift"].to_dict() == pytest.approx({"dng": -0.5, "jpg": 0.0})


def test_a_black_photo_has_no_drift_but_harms_nobody(build: Callable, corpus: Corpus, measured: Callable) -> None:
    build.fill(shots=2)
    dark = {"mean_red": 0.0, "mean_green": 0.0, "mean_blue": 0.0, "sharpness": 0.0}
    measured(build.photo("s/0001", "sony").sha256, dark)
    measured(build.photo("s/0002", "sony").sha256, GRAY)
    assert by_shot(corpus, "sony").isna().all().all()


def test_queries_ask_for_drift(build: Callable, corpus: Corpus, measured: Callable) -> None:
    build.fill(shots=2)
    measured(build.photo("s/0001", "sony").sha256, GRAY)
    measured(build.photo("s/0002", "sony").sha256, {**GRAY, "sharpness": 500.0})
    where = "sharpness_drift < -0.3 and white_drift < 0.1 and exposure_drift_ev > -0.1"
    assert corpus.photos(where)["shot"].tolist() == ["s/0002"]
    assert corpus.count("photos", where) == 1
    assert corpus.photos("device = 'sony'", order="sharpness_drift")["shot"].tolist() == ["s/0002", "s/0001"]


def test_a_pair_tells_of_its_photos(build: Callable, corpus: Corpus, measured: Callable) -> None:
    build.fill(shots=2)
    key = corpus.pairs("phone = 'sony'")["alignment"].iloc[0]
    corpus.store.add_measures(photos={}, alignments={key: GAINS, "no such": GAINS}, version="7")
    measured(build.photo("s/0001", "canon").sha256, {"sharpness": 2000.0})
    measured(build.photo("s/0001", "sony").sha256, {"sharpness": 1500.0})
    late = replace(build.photo("s/0001", "sony"), shutter_ns=1_790_000_000_135_956_789)
    corpus.store.add_photo("s/0001", replace(late, sharpness=1500.0))
    pair = corpus.pairs("gain_ev > 0 and sharpness_ratio > 1").iloc[0]
    wanted = {**GAINS, "sharpness_phone": 1500.0, "sharpness_dslr": 2000.0, "skew_ms": 12.5, "measured": "7"}
    assert pair[list(wanted)].to_dict() == wanted
    assert pair["gain_ev"] == pytest.approx(math.log2(2 * 0.2126 + 0.7152 + 0.5 * 0.0722))
