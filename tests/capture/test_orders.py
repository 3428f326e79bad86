from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from dpedkit.capture.camera import CameraFile, Release
from dpedkit.capture.orders import Nobodys, Order, suffix_of, whose
from dpedkit.capture.shot import ShotPlan, ShutterTime

MS = 1_000_000
S = 1000 * MS
NOON_NS = 1_772_366_400 * S


def order(number: int, at_s: float, *, owed: tuple[str, ...] = (".jpg",), paid: str = "") -> Order:
    """A shot at so many seconds after noon, whose release took effect 0.2 s before it."""
    at_ns = NOON_NS + round(at_s * S)
    release_ns = at_ns - 200 * MS
    release = Release(release_ns, release_ns + 10 * MS)
    done = {".jpg": paid} if paid else {}
    return Order(ShotPlan("monday", number, "", at_ns), owed, release_ns, 10.0, release=release, paid=done)


def opened(at_s: float, bound_s: float = 0.05) -> ShutterTime:
    return ShutterTime(NOON_NS + round(at_s * S), round(bound_s * S))


def after(at_s: float) -> int:
    return NOON_NS + round(at_s * S)


def number_of(answer: Order | Nobodys) -> int | None:
    return None if isinstance(answer, Nobodys) else answer.plan.number


JPEG = CameraFile("/DCIM/100CANON/IMG_0001.JPG", 9)


def test_a_photo_goes_to_the_shot_at_whose_time_it_was_taken() -> None:
    orders = [order(1, 0), order(2, 3), order(3, 6)]
    for number, at_s in ((1, 0), (2, 3), (3, 6), (1, 2.5), (2, 5.7)):
        assert number_of(whose(JPEG, opened(at_s), orders, after(9))) == number


@pytest.mark.parametrize("at_s", [-3600, -0.4, 30, 3600])
def test_a_photo_that_no_shot_took_is_nobodys(at_s: float) -> None:
    answer = whose(JPEG, opened(at_s), [order(1, 0), order(2, 3)], after(4000))
    assert answer == Nobodys("it was not taken by any shot of this session")


def test_before_the_first_shot_every_photo_is_nobodys() -> None:
    assert number_of(whose(JPEG, opened(0), [], after(1))) is None
    assert number_of(whose(JPEG, None, [], after(1))) is None


def test_a_second_photo_of_a_shot_is_nobodys() -> None:
    answer = whose(JPEG, opened(0.1), [order(1, 0, paid="/DCIM/100CANON/IMG_0000.JPG")], after(1))
    assert answer == Nobodys("no shot waits for another .jpg")


def test_a_photo_that_might_be_one_of_two_is_nobodys() -> None:
    orders = [order(1, 0), order(2, 1)]
    answer = whose(JPEG, opened(0.5, bound_s=1.05), orders, after(3))
    assert answer == Nobodys("nothing tells whether it is of shot 1 or 2")


def test_of_two_shots_the_one_that_lacks_its_photo_is_meant() -> None:
    orders = [order(1, 0, paid="/DCIM/100CANON/IMG_0000.JPG"), order(2, 1)]
    assert number_of(whose(JPEG, opened(0.5, bound_s=1.05), orders, after(3))) == 2


def test_of_two_shots_the_one_it_was_meant_for_is_nearer_than_one_it_is_late_for() -> None:
    orders = [order(1, 0), order(2, 5)]
    assert number_of(whose(JPEG, opened(4.9, bound_s=0.2), orders, after(7))) == 2


def test_a_photo_seen_before_a_shot_is_not_its() -> None:
    orders = [order(1, 0), order(2, 3.1)]  # shot 1 was 2.4 s late, and its stamp counts whole seconds
    assert number_of(whose(JPEG, opened(2.5, bound_s=1.05), orders, after(2.8))) == 1
    assert number_of(whose(JPEG, None, orders, after(2.8))) == 1


def test_a_photo_without_a_time_goes_to_the_only_shot_that_waits() -> None:
    waiting, earlier = order(2, 3), order(1, 0, paid="/DCIM/100CANON/IMG_0000.JPG")
    assert number_of(whose(JPEG, None, [earlier, waiting], after(4))) == 2
    assert number_of(whose(JPEG, None, [order(1, 0), waiting], after(4))) is None
    assert number_of(whose(JPEG, None, [order(1, 0), order(2, 3, paid="/DCIM/IMG_1.JPG")], after(4))) is None


@pytest.mark.parametrize("shutter", [None, opened(3.0), opened(6.0, bound_s=1.05)])
def test_a_raw_goes_where_its_picture_went_whatever_its_time(shutter: ShutterTime | None) -> None:
    both = (".jpg", ".cr2")
    orders = [order(1, 0, owed=both, paid=JPEG.path), order(2, 3, owed=both), order(3, 6, owed=both)]
    raw = CameraFile("/DCIM/100CANON/IMG_0001.CR2", 30)
    assert number_of(whose(raw, shutter, orders, after(9))) == 1
    orders[0].paid[".cr2"] = raw.path
    assert number_of(whose(raw, shutter, orders, after(9))) is None


def test_a_name_that_comes_again_in_another_folder_is_another_photo() -> None:
    both = (".jpg", ".cr2")
    orders = [order(1, 0, owed=both, paid=JPEG.path), order(2, 3, owed=both)]
    raw = CameraFile("/DCIM/101CANON/IMG_0001.CR2", 30)
    assert number_of(whose(raw, opened(3), orders, after(9))) == 2


def test_a_photo_of_a_kind_that_nobody_ordered_is_nobodys() -> None:
    assert number_of(whose(CameraFile("/DCIM/MOV_1.MP4", 9), opened(0), [order(1, 0)], after(1))) is None


@pytest.mark.parametrize(
    ("name", "suffix"), [("A.JPG", ".jpg"), ("a.jpeg", ".jpg"), ("A.HIF", ".heic"), ("a.b.HEIF", ".heic"), ("a", "")]
)
def test_endings_are_those_of_rig_files(name: str, suffix: str) -> None:
    assert suffix_of(CameraFile(f"/DCIM/v1.2/{name}", 1)) == suffix


@dataclass
class Taken:
    """A photo of the truth below: which order took it, when its shutter opened and when it was found."""

    order: Order
    photo: CameraFile
    opened_ns: int
    found_ns: int
    attached_ns: int = 0


@dataclass
class Past:
    """One device's session as sessions go: a shot is fired once the last one's photos are on the card, or given up."""

    rng: random.Random
    endings: tuple[str, ...]
    orders: list[Order] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def live_through(self, shots: int) -> None:
        rng, now_ns, pulled_ns = self.rng, NOON_NS, NOON_NS
        for number in range(1, shots + 1):
            release_ns = now_ns + rng.randrange(100, 600) * MS
            earliest_ns = release_ns + rng.randrange(20) * MS
            release = Release(earliest_ns, earliest_ns + rng.randrange(1, 40) * MS)
            lag_ns = rng.randrange(50, 400) * MS
            plan = ShotPlan("monday", number, "", release_ns + lag_ns + rng.randrange(-40, 40) * MS)
            mine = Order(plan, self.endings, release_ns, rng.choice([4.0, 30.0]), release=release)
            if rng.random() < 0.1:
                mine.release = None  # nobody saw it
            self.orders.append(mine)
            opened_ns = rng.randint(release.earliest_ns, release.latest_ns) + lag_ns
            fate = rng.choice(["in time"] * 6 + ["busy"] * 2 + ["late", "never"])
            if fate == "busy":  # and not late as well: with stamps of whole seconds, `whose` takes that for too rare
                opened_ns += rng.randrange(2500) * MS
            found_ns = opened_ns + rng.randrange(50, 900) * MS
            given_up_ns = release.latest_ns + round(mine.patience_s * S)
            if fate == "late":
                found_ns = given_up_ns + rng.randrange(12_000) * MS
            if fate != "never":
                for ending in self.endings:
                    photo = CameraFile(f"/DCIM/IMG_{number:04d}{ending.upper()}", 9)
                    self.taken.append(Taken(mine, photo, opened_ns, found_ns))
            now_ns = found_ns if fate in ("in time", "busy") else given_up_ns
            now_ns += rng.choice([0, rng.randrange(5000)]) * MS
        self.taken.sort(key=lambda taken: taken.found_ns)
        for taken in self.taken:
            pulled_ns = taken.attached_ns = max(pulled_ns, taken.found_ns) + rng.randrange(3000) * MS


@pytest.mark.parametrize("endings", [(".jpg",), (".jpg", ".cr2")])
@pytest.mark.parametrize("step_ns", [MS, 10 * MS, S, None])
def test_no_photo_ever_goes_to_a_shot_that_did_not_take_it(step_ns: int | None, endings: tuple[str, ...]) -> None:
    """For any lags, late photos, missing ones and errors of the clock that stay within their bounds."""
    mine = nobodys = 0
    for seed in range(300):
        rng = random.Random(f"{seed} {step_ns} {endings}")
        past = Past(rng, endings)
        past.live_through(6)
        for taken in past.taken:
            bound_ns = 0 if step_ns is None else step_ns + rng.choice([1, 50, 200]) * MS
            error_ns = rng.choice([-bound_ns, bound_ns, rng.randint(-bound_ns, bound_ns)])
            shutter = None if step_ns is None else ShutterTime(taken.opened_ns + error_ns, bound_ns)
            known = [order for order in past.orders if order.release_ns - 400 * MS <= taken.attached_ns]
            answer = whose(taken.photo, shutter, known, taken.found_ns)
            if isinstance(answer, Nobodys):
                nobodys += 1
                continue
            assert answer is taken.order, (seed, taken, answer)
            answer.paid[suffix_of(taken.photo)] = taken.photo.path
            mine += 1
    assert mine > (0.99 if step_ns else 0.5) * (mine + nobodys), "it is easy to be right by never answering"
