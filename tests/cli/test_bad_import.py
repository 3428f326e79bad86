"""Bad files among good ones: each is named with its reason, or is a picture; the good ones come in."""

from __future__ import annotations

from pathlib import Path
from random import Random

from command_line import CommandLine
from mutants import mutants
from mutations import mutate
from small_photos import photo, write
from test_images import BROKEN

from dpedkit.db import open_corpus
from dpedkit.images import PHOTO_SUFFIXES, read_rgb


def test_bad_files_cost_nothing_but_themselves(cli: CommandLine, shared_data: Path, tmp_path: Path) -> None:
    cli.run("init", "ws", cwd=tmp_path)
    bad = {path.name: path.read_bytes() for path in (shared_data / "bad").iterdir() if path.suffix in PHOTO_SUFFIXES}
    bad |= {f"mutant{m.seed}.jpg": mutate(m.kind, m.how, Random(m.seed)) for m in mutants(range(16))}
    good = {f"good{number}.jpg": photo(number, None) for number in range(4)}
    canon = write(tmp_path / "canon", bad | good)
    write(tmp_path / "sony", {f"{Path(name).stem}.jpg": photo(100 + n, None) for n, name in enumerate(bad | good)})
    report = cli.json(
        *("import", "folder", "--dslr", str(canon), "--phone", f"sony={tmp_path}/sony"),
        *("--pair-by", "name", "--jobs", "1"),
        cwd=tmp_path / "ws",
        code=3,
    )
    failed = {Path(name).name for name in report["failures"]}
    assert failed - {name for name in bad if name.startswith("mutant")} == BROKEN & bad.keys()
    assert all(report["failures"].values())
    with open_corpus(tmp_path / "ws") as corpus:
        photos = corpus.photos("device = 'dslr'")
    came = {Path(name).name for name in photos["device_path"]}
    assert came == (bad | good).keys() - failed
    assert photos["measured"].notna().all()
    for row in photos.itertuples():
        assert read_rgb(tmp_path / "ws" / str(row.path)).shape == (row.height, row.width, 3)
