"""The pace of requests, on a clock of the test's own."""

from duelbench.chat.pacing import Pace, seconds_asked_for


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def paced(per_minute):
    clock = Clock()
    return clock, Pace(per_minute, clock=clock, sleep=clock.sleep)


def test_requests_begin_evenly_spaced():
    clock, pace = paced(30)
    begun = []
    for _ in range(4):
        pace.wait()
        begun.append(clock.now)
    assert begun == [100, 102, 104, 106] and pace.begun == 4


def test_a_pause_holds_all_of_them_and_the_rate_goes_on_afterwards():
    clock, pace = paced(60)
    pace.wait()
    pace.hold(10)
    pace.hold(3)  # a shorter one does not shorten it
    begun = []
    for _ in range(2):
        pace.wait()
        begun.append(clock.now)
    assert begun == [110, 111]


def test_without_a_rate_nobody_waits():
    clock, pace = paced(None)
    for _ in range(5):
        pace.wait()
    assert clock.now == 100


def test_what_retry_after_may_say():
    assert seconds_asked_for("0") == 0 and seconds_asked_for(" 2.5 ") == 2.5
    for strange in ("-3", "1e9", "nan", "", "in a while", "Thu, 32 Foo 1970"):
        assert seconds_asked_for(strange) == 0
    past = "Thu, 01 Jan 1970 00:00:10 GMT"
    assert seconds_asked_for(past, now=lambda: 50.0) == 0
