"""`dpedkit demo`, from an empty folder to its report: PSNR of held-out photos, alignment error and time.

PSNR is against the DSLR's photos, over photos that no network has seen. The colour baselines, a gain and offset per
channel and a 3x3 matrix with a curve, are fitted on the training split; the better one of each phone stands beside the
enhanced photos, so that one sees what the network adds to them. The alignment error is against the simulator's truth,
over all pairs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

from measure import Figure, Findings


def run() -> Findings:
    """Run the command in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dpedkit", "demo", f"{folder}/demo", "--json", "--quiet"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    result: dict[str, Any] = json.loads(done.stdout)
    if "error" in result:
        return Findings([], [f"The demo failed: {result['error']}"])
    return Findings(
        [
            *(figure for phone in result["phones"] for figure in scores(phone)),
            Figure("alignment error, median", [result["alignment_median_px"]], "px", target="<= 0.1"),
            Figure("alignment error, p95", [result["alignment_p95_px"]], "px", target="<= 0.3"),
            Figure("time", [result["seconds"]], "s", target="<= 300"),
        ]
    )


def scores(phone: dict[str, Any]) -> list[Figure]:
    """Return one phone's."""
    name, own_db, enhanced_db = phone["phone"], phone["own_db"], phone["enhanced_db"]
    return [
        Figure(f"{name}: its own photos", [own_db], "dB"),
        Figure(f"{name}: better colour baseline", [phone["baseline_db"]], "dB"),
        Figure(f"{name}: enhanced", [enhanced_db], "dB"),
        Figure(f"{name}: enhanced over its own", [enhanced_db - own_db], "dB", target=">= 3"),
    ]
