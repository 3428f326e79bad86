"""A capture that is killed (SIGKILL) at a random moment, and resumed."""

from __future__ import annotations

import random
import time

from rehearsal import Rehearsal

SHOTS = 3
LONGEST_S = 7.0  # a whole capture takes about as long


def kill_and_resume(rig: Rehearsal, seed: int) -> str:
    """Kill a capture, resume it, and check everything there is; return what happened in a few words."""
    moments = random.Random(seed)
    was_running = False
    while not was_running:  # else it was no kill: another moment
        delay_s = moments.uniform(0.3, LONGEST_S)
        process = rig.start("capture", "--shots", SHOTS, "--json")
        time.sleep(delay_s)
        was_running = process.poll() is None
        process.kill()
        process.communicate()
    code, events, said = rig.run("capture", "--resume")
    assert code == 0, (code, events[-1:], said)
    shots = rig.check()
    newest = shots[shots["session"] == shots["session"].max()]
    complete = newest[newest["status"] == "complete"]
    good = set(complete["shot"]) | set(complete["retry_of"].dropna())
    originals = newest[newest["retry_of"].isna()]
    assert set(originals["shot"]) <= good, "a shot was neither finished nor fired again"
    fired_again = len(newest) - len(originals)
    return f"killed after {delay_s:.2f} s, {fired_again} fired again"
