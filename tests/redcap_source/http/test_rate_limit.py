import stat
import threading
import time

import pytest

from redcap_source.http.rate_limit import (
    FolderLimit,
    RateLimiter,
    default_rate_limiter,
    reserve,
    unlimited_rate_limiter,
)


@pytest.mark.parametrize(
    ("next_free", "now", "burst", "expected"),
    [
        (0.0, 100.0, 0, (0.0, 101.0)),  # idle: at once
        (101.0, 100.0, 0, (1.0, 102.0)),  # one waits its turn
        (101.0, 100.0, 2, (0.0, 102.0)),  # within the burst nobody waits
        (103.0, 100.0, 2, (1.0, 104.0)),  # beyond it they do
        (99_999.0, 100.0, 0, (0.0, 101.0)),  # a clock that was set back is no queue
    ],
)
def test_reserve(next_free, now, burst, expected):
    assert reserve(next_free, now, interval=1.0, burst=burst) == expected


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("across_processes", [False, True])
def test_requests_keep_to_the_rate(tmp_path, across_processes):
    clock = Clock()
    folder = tmp_path / "pace" if across_processes else None
    pace = RateLimiter(60, 2, burst=5, folder=folder, clock=clock, sleep=clock.sleep)
    for _ in range(65):
        with pace.turn():
            pass
    assert clock.now - 1000 == pytest.approx(59)


def test_two_paces_of_one_folder_and_name_share_the_rate(tmp_path):
    clock = Clock()
    paces = [RateLimiter(60, 1, burst=0, folder=tmp_path, name="a", clock=clock, sleep=clock.sleep) for _ in range(2)]
    other = RateLimiter(60, 1, burst=0, folder=tmp_path, name="b", clock=clock, sleep=clock.sleep)
    for _ in range(5):
        for pace in paces:
            with pace.turn():
                pass
    assert clock.now - 1000 == pytest.approx(9)
    with other.turn():
        assert clock.now - 1000 == pytest.approx(9)


def test_no_more_than_so_many_at_once():
    pace, inside, most = RateLimiter(None, 2), [0], [0]
    lock = threading.Lock()

    def work():
        with pace.turn():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


def test_a_damaged_schedule_is_forgotten(tmp_path):
    clock = Clock()
    pace = RateLimiter(60, 1, burst=0, folder=tmp_path, clock=clock, sleep=clock.sleep)
    with pace.turn():
        pass
    next(tmp_path.glob("*.next")).write_text("torn")
    with pace.turn():
        assert clock.now == 1000.0


def test_the_folder_is_the_owners_alone(tmp_path):
    with RateLimiter(60, 1, folder=tmp_path / "new").turn():
        pass
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_clients_of_one_server_share_the_default():
    assert default_rate_limiter("https://a.example") is default_rate_limiter("https://a.example")
    assert default_rate_limiter("https://a.example") is not default_rate_limiter("https://b.example")
    assert unlimited_rate_limiter().requests_per_minute is None


def test_a_limit_is_shared_in_one_place(tmp_path):
    with pytest.raises(ValueError, match="in a folder or in another place"):
        RateLimiter(60, 1, folder=tmp_path, shared=FolderLimit(tmp_path, "a"))


@pytest.mark.parametrize("wrong", [(0, 1), (60, 0)])
def test_a_pace_that_never_moves_is_refused(wrong):
    with pytest.raises(ValueError):
        RateLimiter(*wrong)
