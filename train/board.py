"""A run as TensorBoard shows it: losses and validation by step, and the validation's pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dpedkit.errors import MissingExtra
from dpedkit.images import read_rgb
from dpedkit.train.loop import StepReport

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class Board:
    """Writes event files into a run's folder, beside its own log.

    Raises:
        MissingExtra: tensorboard is not installed.
    """

    def __init__(self, run: Path, batch: int) -> None:
        try:
            from torch.utils import tensorboard
        except ModuleNotFoundError as error:
            raise MissingExtra("tensorboard", "tensorboard") from error
        self._open, self._run, self._batch = tensorboard.SummaryWriter, run, batch
        self._writer: SummaryWriter | None = None

    def __call__(self, report: StepReport) -> None:
        """Write one step."""
        if self._writer is None:  # what a run that was cut off had written beyond its checkpoint goes
            self._writer = self._open(str(self._run / FOLDER), purge_step=report.step)
        numbers = {f"loss/{name}": loss for name, loss in report.losses.items()}
        numbers["speed/images per second"] = self._batch / report.took_s
        numbers["speed/waits for data"] = report.waited_s / report.took_s
        if report.validation_db is not None:
            numbers["validation/PSNR dB"] = report.validation_db
            picture = read_rgb(self._run / "pictures" / f"{report.step:06d}.png")
            self._writer.add_image("validation/phone, enhanced, DSLR", picture, report.step, dataformats="HWC")
        for name, number in numbers.items():
            self._writer.add_scalar(name, number, report.step)
        if report.validation_db is not None or report.step == report.iterations:
            self._writer.flush()
