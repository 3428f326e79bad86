"""The main job from end to end on a simulated rig, from the shutter to a report with enhanced photos."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from dpedkit.capture.rig import load_rig, rehearsal_rig
from dpedkit.db import open_corpus
from dpedkit.errors import DpedError
from dpedkit.executor import Workers
from dpedkit.progress import Progress
from dpedkit.stages.align import align_pairs
from dpedkit.stages.capture import run_session, shown
from dpedkit.stages.demo_report import write_demo_report
from dpedkit.stages.enhancing import enhance_photos
from dpedkit.stages.evaluate import EvaluateReport, evaluate
from dpedkit.stages.frames import rows
from dpedkit.stages.patches import build_patches
from dpedkit.stages.rehearsal import alignment_errors
from dpedkit.stages.training import train_phone
from dpedkit.stages.wishes import Wish
from dpedkit.workspace import SETTINGS_FILE, Workspace, create_workspace, find_workspace

RIG = "tripod"
RECIPE = "small"
WANTED_GAIN_DB = 3.0


@dataclass(frozen=True, slots=True)
class PhoneResult:
    """Held-out photos of one phone, PSNR against the DSLR's, dB: its own, enhanced, and the better fitted baseline."""

    phone: str
    own_db: float
    enhanced_db: float
    baseline_db: float

    @property
    def gain_db(self) -> float:
        """What the network adds to the phone's own photo."""
        return self.enhanced_db - self.own_db

    @property
    def passed(self) -> bool:
        """Whether that is enough."""
        return self.gain_db >= WANTED_GAIN_DB


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found; alignment errors are over all pairs, against the simulator's truth, px of the phone."""

    report: str
    seconds: float
    phones: tuple[PhoneResult, ...]
    alignment_median_px: float
    alignment_p95_px: float
    passed: bool

    def lines(self) -> list[str]:
        """The summary, a line for each thing."""
        lines = [
            f"{phone.phone:11} own {phone.own_db:.2f} dB, enhanced {phone.enhanced_db:.2f} dB ({phone.gain_db:+.2f}), "
            f"best colour baseline {phone.baseline_db:.2f} dB" + ("" if phone.passed else "  less than +3 dB")
            for phone in self.phones
        ]
        median, p95 = self.alignment_median_px, self.alignment_p95_px
        lines.append(f"alignment error against the truth: median {median:.3f} px, p95 {p95:.3f} px")
        return [*lines, f"took {self.seconds:.0f} s"]


def run_demo(folder: Path, *, scenes: Path | None, shots: int, seed: int, progress: Progress) -> DemoResult:
    """Run the main job in the workspace `folder`; what an earlier, interrupted demo finished there is kept.

    scenes  a folder of photos to point the simulated cameras at; None: generated scenes

    Raises:
        UsageError: the folder holds something else.
    """
    began = time.monotonic()
    workspace = _workspace(folder, scenes, seed)
    missing = shots - _shots(workspace)
    if missing > 0:
        # a fixed name, since splits follow from it: the same command divides the shots in the same way
        run_session(workspace, RIG, Wish(missing, scene="demo", name="demo"), shown(progress, missing))
    align_pairs(workspace, workers=Workers(), dry_run=False, progress=progress)
    build_patches(workspace, workers=Workers(), dry_run=False, progress=progress)
    phones = [device.name for device in load_rig(workspace.rig_file(RIG)).devices if device.role == "phone"]
    runs = {phone: _train(workspace, phone, seed, progress) for phone in phones}
    enhanced = {phone: _enhance(workspace, phone, run, progress) for phone, run in runs.items()}
    scores = evaluate(workspace, phones=phones, split="test", protocol="photos", progress=progress)
    errors = alignment_errors(workspace, RIG)
    median_px, p95_px = np.quantile(np.concatenate([error.distance_px for error in errors]), [0.5, 0.95]).tolist()
    results = tuple(_result(scores, phone, run) for phone, run in runs.items())
    result = DemoResult(
        report=str(workspace.root / "report.html"),
        seconds=time.monotonic() - began,
        phones=results,
        alignment_median_px=median_px,
        alignment_p95_px=p95_px,
        passed=all(phone.passed for phone in results),
    )
    write_demo_report(workspace, result, scores, errors, runs, enhanced, made=_made(scenes, shots, seed))
    return result


def _workspace(folder: Path, scenes: Path | None, seed: int) -> Workspace:
    if (folder / SETTINGS_FILE).is_file():
        return find_workspace(folder)
    return create_workspace(folder, {RIG: rehearsal_rig(seed=seed, scenes=scenes)})


def _shots(workspace: Workspace) -> int:
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        shots = corpus.shots()
    return int((shots["status"] == "complete").sum())


def _train(workspace: Workspace, phone: str, seed: int, progress: Progress) -> str:
    """Train on one phone unless that is done; go on with a run that was interrupted. Return the run's name."""
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        runs = corpus.runs()
    mine = runs[(runs["phone"] == phone) & (runs["recipe"] == RECIPE)]
    if (done := mine[mine["status"] == "done"]).size:
        return str(done["run"].iloc[-1])
    report = train_phone(
        workspace,
        phone=phone,
        recipe_name=RECIPE,
        overrides={},
        vgg="torchvision",
        device="auto",
        seed=seed,
        resume=not mine.empty,
        dry_run=False,
        progress=progress,
    )
    assert report is not None  # this process is the only one
    return report.run


def _enhance(workspace: Workspace, phone: str, run: str, progress: Progress) -> dict[str, Path]:
    """Enhance the phone's held-out photos; shot -> result."""
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        photos = corpus.photos()
    held_out = photos[(photos["device"] == phone) & (photos["split"] == "test") & photos["picture"]]
    sources = {row.shot: workspace.root / row.path for row in rows(held_out)}
    output = workspace.root / "enhanced" / run
    done = enhance_photos(
        list(sources.values()),
        workspace.runs / run,
        output,
        device="auto",
        overwrite=True,
        dry_run=False,
        progress=progress,
    )
    if done.failures:
        raise DpedError(next(iter(done.failures.values())))
    return {shot: output / source.name for shot, source in sources.items()}


def _result(scores: EvaluateReport, phone: str, run: str) -> PhoneResult:
    mine = [score for score in scores.scores if score.phone == phone]
    psnr = {score.name: score.psnr for score in mine}
    baseline_db = max(score.psnr for score in mine if score.kind == "baseline")
    return PhoneResult(phone, psnr["phone"], psnr[run], baseline_db)


def _made(scenes: Path | None, shots: int, seed: int) -> list[tuple[str, str]]:
    import torch

    words = ["dpedkit demo DIR", f"--shots {shots}", f"--seed {seed}"] + ([f"--scenes {scenes}"] if scenes else [])
    return [
        ("command", " ".join(words)),
        ("dpedkit", version("dpedkit")),
        ("python", platform.python_version()),
        ("torch", f"{torch.__version__}, {torch.get_num_threads()} threads"),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("recipe", RECIPE),
    ]
