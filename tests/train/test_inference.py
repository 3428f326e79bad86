"""Whole photos through every network: as if at once, in the memory that is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dpedkit.errors import TrainError
from dpedkit.train import enhance, load_generator
from dpedkit.train.device import has_bfloat16
from dpedkit.train.inference import BACKENDS, choosing
from dpedkit.train.inference.backends import load_backend
from dpedkit.train.inference.choosing import Choice, choose_backend
from dpedkit.train.inference.maps import Maps
from dpedkit.train.networks import ENHANCERS, Enhancer, Generator
from dpedkit.types import U8


@pytest.fixture(scope="module")
def generator() -> Generator:
    made = Generator(width=8, blocks=2)
    strengthen(made)
    return made


LAST = {"dped": "to_rgb", "srcnn": "rebuild", "nafnet": "ending", "csrnet": "retouches.2"}


def strengthen(network: Enhancer) -> None:
    """Give it weights so large that every layer shows in the picture, and such that little of it is clipped."""
    rng = torch.Generator().manual_seed(3)
    for name, weight in network.eval().state_dict().items():
        if weight.ndim in (2, 4):
            share = 0.3 if name == f"{LAST[network.kind]}.weight" else 0.7
            weight.normal_(0, (2 / weight[0].numel()) ** 0.5 * share, generator=rng)
        else:
            middle = 0.4 if name == f"{LAST[network.kind]}.bias" and network.kind in ("srcnn", "csrnet") else 0
            weight.add_(torch.empty_like(weight).normal_(middle, 0.1, generator=rng))


def photo(height: int, width: int) -> U8:
    """Bright above and dark below, with noise: statistics differ from strip to strip."""
    rng = np.random.default_rng(5)
    ramp = np.linspace(220, 20, height)[:, None, None] + rng.normal(0, 25, (height, width, 3))
    return ramp.clip(0, 255).astype(np.uint8)


def at_once(generator: Enhancer, rgb: U8) -> U8:
    with torch.no_grad():
        enhanced = generator(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255)
    pixels: U8 = (enhanced[0].permute(1, 2, 0).numpy().clip(0, 1) * 255).round().astype(np.uint8)
    return pixels


@pytest.mark.parametrize("strip_rows", [1, 3, 16, 1000])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (5, 3), (67, 45)])
def test_strips_equal_the_whole_photo(generator: Generator, height: int, width: int, strip_rows: int) -> None:
    rgb = photo(height, width)
    before = rgb.copy()
    difference = np.abs(enhance(generator, rgb, strip_rows=strip_rows).astype(int) - at_once(generator, rgb))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3 or difference.sum() <= 1  # only values on the edge between two levels
    assert np.array_equal(rgb, before)


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("strip_rows", [None, 1, 6])
@pytest.mark.parametrize("kind", ENHANCERS)
def test_every_architecture_goes_by_strips(kind: str, strip_rows: int | None, where: str, tmp_path: Path) -> None:
    network = ENHANCERS[kind](rng=torch.Generator().manual_seed(3))
    strengthen(network)
    room = {"memory_bytes": 0} if where == "file" else {"memory_bytes": 10**10}
    for height, width in ((1, 1), (3, 20), (21, 35), (64, 48)):
        rgb = photo(height, width)
        expected = at_once(network, rgb)
        ours = enhance(network, rgb, strip_rows=strip_rows, scratch=tmp_path, **room)
        difference = np.abs(ours.astype(int) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3 or difference.sum() <= 1
    assert ((expected > 0) & (expected < 255)).mean() > 0.5  # what is clipped shows no differences
    assert expected.std() > 20
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
import sys, numpy as np
from pathlib import Path
from dpedkit.train import enhance
from dpedkit.train.networks import Generator
rgb = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
enhance(Generator(width=32, blocks=1), rgb, memory_bytes=int(sys.argv[1]), scratch=Path(sys.argv[2]))
print(next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory that a process has held")
def test_memory_stays_within_what_is_allowed(tmp_path: Path) -> None:
    """The maps of this photo take 768 MB."""
    held = []
    for allowed in (500_000_000, 1_500_000_000):
        command = [sys.executable, "-c", SCRIPT, str(allowed), str(tmp_path)]
        held.append(int(subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout))
    assert held[0] <= 500_000_000
    assert 1_000_000_000 < held[1] <= 1_500_000_000


def test_the_test_photo_would_show_seams(generator: Generator) -> None:
    """Were halves enhanced each by itself, the picture would be another one."""
    rgb = photo(64, 45)
    halves = np.concatenate([enhance(generator, rgb[:32]), enhance(generator, rgb[32:])])
    assert np.abs(halves.astype(int) - enhance(generator, rgb)).max() > 20


@pytest.mark.parametrize(("half", "limit"), [(False, 1), (True, 3)])
def test_the_authors_generator_gives_their_pixels(half: bool, limit: int, shared_data: Path) -> None:
    with np.load(shared_data / "reference" / "dped_step.npz") as reference:
        phones, expected = reference["phone"], reference["enhanced_iphone"]
    generator = load_generator(shared_data / "dped_models" / "iphone_orig")
    for rgb, truth in zip(phones, expected, strict=True):
        pixels = (truth.clip(0, 1) * 255).round()
        difference = np.abs(enhance(generator, rgb, half=half) - pixels)
        assert difference.max() <= limit
        assert (difference > limit - 1).mean() < 1e-3


def test_views_and_read_only_photos_are_fine(generator: Generator) -> None:
    rgb = photo(20, 24)
    mirrored = rgb[:, ::-1]
    mirrored.flags.writeable = False
    assert np.array_equal(enhance(generator, mirrored), enhance(generator, mirrored.copy()))


@pytest.mark.parametrize(
    "rgb",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))],
)
def test_other_arrays_are_refused(generator: Generator, rgb: U8) -> None:
    with pytest.raises(ValueError, match=r"expected an uint8 \[H, W, 3\]"):
        enhance(generator, rgb)
    with pytest.raises(ValueError, match="at least 1 row"):
        enhance(generator, photo(4, 4), strip_rows=0)


@pytest.mark.parametrize("kind", ENHANCERS)
def test_what_is_done_is_told_and_can_be_stopped(kind: str) -> None:
    network = ENHANCERS[kind](rng=torch.Generator().manual_seed(3))
    shares: list[float] = []
    enhance(network, photo(160, 20), strip_rows=16, tell=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2
    assert shares[-1] == pytest.approx(1, abs=0.02)
    assert len(shares) >= 10

    def stop(share: float) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance(network, photo(160, 20), strip_rows=16, tell=stop)


SMALL = {"dped": {"width": 8, "blocks": 1}, "srcnn": {}, "nafnet": {"width": 4, "levels": 1}, "csrnet": {"width": 8}}


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest) -> Enhancer:
    network = ENHANCERS[request.param](rng=torch.Generator().manual_seed(3), **SMALL[request.param])
    strengthen(network)
    return network


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_makes_the_same_picture(small: Enhancer, backend: str) -> None:
    rgb = photo(41, 34)  # strips of 7 rows leave 6; 34 columns are no multiple of those that are computed at once
    expected = at_once(small, rgb)
    ours = enhance(small, rgb, backend=backend, strip_rows=7)
    difference = np.abs(ours.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    assert np.array_equal(enhance(small, rgb, backend=backend, strip_rows=7), ours)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bfloat16_is_a_few_levels_off(small: Enhancer, backend: str, tmp_path: Path) -> None:
    """PyTorch is forced to it here, whether the processor has arithmetic for it or not."""
    half = {"torch": True, "onnxruntime": False, "openvino": has_bfloat16(torch.device("cpu"))}[backend]
    assert load_backend(backend, half=True).half == half
    rgb = photo(41, 34)
    expected = at_once(small, rgb)
    for room in (10**10, 0):
        ours = enhance(small, rgb, backend=backend, half=True, strip_rows=7, memory_bytes=room, scratch=tmp_path)
        difference = np.abs(ours.astype(int) - expected)
        assert difference.max() <= (4 if half else 1)
        assert difference.mean() < 1
        assert not half or difference.max()  # else it would not have been bfloat16


def test_maps_in_bfloat16_take_half(generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    reserve = Maps._reserve
    monkeypatch.setattr(Maps, "_reserve", lambda self, size: sizes.append(size) or reserve(self, size))
    for half in (False, True):
        enhance(generator, photo(40, 30), half=half, memory_bytes=0, scratch=tmp_path)
    assert [size for size in sizes if size > 30_000] == [40 * 30 * 8 * 4] * 2
    assert sizes[-2:] == [40 * 30 * 8 * 2] * 2


def test_other_backends_are_refused(generator: Generator) -> None:
    with pytest.raises(ValueError, match="no backend 'tflite'; there are torch, onnxruntime, openvino"):
        enhance(generator, photo(4, 4), backend="tflite")
    with pytest.raises(ValueError, match="openvino computes on the CPU, not on cuda"):
        enhance(generator, photo(4, 4), backend="openvino", device="cuda")
    with pytest.raises(TrainError, match="openvino computes on the CPU, not on cuda"):
        choose_backend("openvino", torch.device("cuda"))


def test_auto_takes_the_fastest_of_its_trial(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert choose_backend("auto", cpu) == Choice("torch", half=False)  # without a photo nothing is tried
    monkeypatch.setattr(choosing, "installed", lambda: ("torch", "onnxruntime"))
    choice = choose_backend("auto", cpu, generator=generator, rgb=photo(40, 30))
    assert set(choice.trial_s) == {"torch", "onnxruntime"}
    for torch_s, other_s, fastest in ((1.0, 0.9, "onnxruntime"), (1.0, 0.97, "torch")):
        took = {"torch": torch_s, "onnxruntime": other_s}
        monkeypatch.setattr(choosing, "_trial", lambda *_, took=took, **__: took)
        assert choose_backend("auto", cpu, generator=generator, rgb=photo(40, 30)).backend == fastest


@pytest.mark.parametrize("arithmetic", [True, False])
def test_fast_says_where_it_changes_nothing(arithmetic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(choosing, "has_bfloat16", lambda _: arithmetic)
    choice = choose_backend("torch", cpu, fast=True)
    assert (choice.half, choice.precision) == ((True, "bfloat16") if arithmetic else (False, "float32"))
    assert [note.partition(":")[0] for note in choice.notes] == ([] if arithmetic else ["--fast changes nothing"])
    (note,) = choose_backend("onnxruntime", cpu, fast=True).notes
    assert ("onnxruntime has no bfloat16" in note) == arithmetic
    assert choose_backend("onnxruntime", cpu).notes == ()


def test_openvino_tells_nobody_that_it_was_loaded() -> None:
    code = (
        "from dpedkit.train.inference.backends import load_backend; import multiprocessing, sys\n"
        "load_backend('openvino'); assert 'openvino' in sys.modules\n"
        "assert not multiprocessing.active_children(); assert not sys.modules.get('openvino_telemetry')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_ctrl_c_works_after_openvino() -> None:
    """OpenVINO moves the stack on which signals are handled, and would take it along when it goes."""
    code = (
        "import gc, signal, numpy as np\n"
        "from dpedkit.train import enhance\n"
        "from dpedkit.train.networks import Generator\n"
        "for half in (False, True):\n"
        "    enhance(Generator(), np.zeros((8, 8, 3), np.uint8), backend='openvino', half=half)\n"
        "gc.collect()\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "interrupted\n"
