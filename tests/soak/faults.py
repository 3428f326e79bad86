"""Every fault on every kind of device it can happen to: recovered or reported in time, and never a wrong photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rehearsal import Rehearsal

from dpedkit.capture.simulate.faults import FAULTS

DEVICE_OF_ROLE = {"dslr": "dslr", "phone": "sony"}
SHOTS = 3
AT = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must come of a fault at the second of three shots.

    second   the status of that shot at the end of the session; "either" where it depends on the moment
    says     a word that the error, or the shot's flags, must hold
    refused  nothing is fired at all: the session does not begin
    late     the photo comes after it was given up, and is attached by --resume
    """

    second: str = "complete"
    says: str = ""
    refused: bool = False
    late: bool = False


OUTCOMES = {
    "disconnect_at_connect": Outcome(refused=True),
    "disconnect_at_fire": Outcome("incomplete"),
    "disconnect_after_fire": Outcome(),
    "disconnect_mid_pull": Outcome(),
    "wrong_size": Outcome(),
    "corrupt": Outcome(),
    "corrupt_on_card": Outcome("incomplete", "damaged on the device"),
    "no_file": Outcome("incomplete", "no .jpg photo"),
    "late_file": Outcome("incomplete", late=True),
    "slow_file": Outcome(),
    "duplicate_name": Outcome(),
    "card_full": Outcome("incomplete"),
    "battery_low": Outcome(refused=True, says="battery"),
    "screen_locked": Outcome("incomplete"),
    "unauthorized": Outcome(refused=True, says="unauthorized"),
    "busy": Outcome(),
    "slow_trigger": Outcome(says="skew"),
    "frozen": Outcome("incomplete"),
    "exposure_jump": Outcome(says="exposure sony"),
    "wb_jump": Outcome(says="white balance sony"),  # the scene turns, too: the DSLR's colours move with it
}
AFTER_S = {"late_file": 6.5}
CASES = [(fault, DEVICE_OF_ROLE[role]) for fault, kind in FAULTS.items() for role in kind.roles]


def suffer(folder: Path, fault: str, device: str) -> str:
    """Run a session in which one device fails in one way; return what became of it."""
    outcome = OUTCOMES[fault]
    after = f"after_s = {AFTER_S[fault]}\n" if fault in AFTER_S else ""
    at = 1 if outcome.refused else AT
    rig = Rehearsal(
        folder / "ws",
        timeout_s=5.0,
        more=f'[[simulated.fault]]\ndevice = "{device}"\nfault = "{fault}"\nshots = [{at}]\n{after}',
    )
    with rig.running():
        code, _, said = rig.run("capture", "--shots", SHOTS)
        if outcome.refused:
            assert code == 4, (code, said)
            assert outcome.says in said
            assert not rig.photos_taken()
            if FAULTS[fault].counts == "connection":
                code, _, said = rig.run("capture")
                assert code == 0, said
                rig.check()
            return "refused with its reason"
        shots = rig.check(but=frozenset({device}) if outcome.late else frozenset())
        assert list(shots["status"]) == ["complete", outcome.second, "complete"], list(shots["reason"])
        assert code == (0 if outcome.second == "complete" else 4)
        words = " ".join([shots["reason"][1], *shots["flags"][1]])
        assert outcome.says in words, words
        if outcome.second == "complete":
            return "recovered"
        assert device in shots["reason"][1]
        code, events, _ = rig.run("capture", "--resume")
        assert code == 0, events[-1]
        shots = rig.check()
        again = "its photo attached by --resume" if outcome.late else "fired again by --resume"
        assert shots["status"][1] == ("complete" if outcome.late else "incomplete")
        assert outcome.late or shots["retry_of"].iloc[-1] == shots["shot"][1]
        return f"reported ({shots['reason'][1] or words}); {again}"
