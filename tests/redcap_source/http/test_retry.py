import pytest

from redcap_source import RetryPolicy, errors
from redcap_source.http.retry import wait_before_retry

SMALLEST = errors.RequestContext("metadata", smallest=True)
POLICY = RetryPolicy(attempts=5, first_wait=1, factor=2, longest_wait=10)


@pytest.mark.parametrize(
    ("error", "attempt", "wait"),
    [
        (errors.ServerOverloaded(), 1, 1.0),
        (errors.ServerOverloaded(), 2, 2.0),
        (errors.ServerOverloaded(), 4, 8.0),
        (errors.ServerOverloaded(), 5, None),  # five attempts in all
        (errors.ServerOverloaded(retry_after=7), 1, 7),  # the server names its wait
        (errors.RateLimited(retry_after=3600), 1, None),  # and wants more patience than there is
        (errors.TimedOut(), 1, 1.0),
        (errors.TimedOut(), 2, None),  # each attempt costs minutes
        (errors.TooLarge(), 1, None),  # only a smaller request helps
        (errors.TooLarge(SMALLEST), 1, 1.0),  # if there is one
        (errors.TooLarge(SMALLEST), 3, None),
        (errors.NotRedcap(), 3, None),
        (errors.TokenRefused(status=403), 1, None),
        (errors.OutcomeUnknown(), 1, None),
        (OSError("disk full"), 1, None),
    ],
)
def test_wait_before_retry(error, attempt, wait):
    assert wait_before_retry(error, attempt, POLICY, chance=1.0) == wait


def test_waits_are_spread_between_half_and_whole():
    assert POLICY.backoff(1, 0.0) == 0.5
    assert POLICY.backoff(1, 1.0) == 1.0


def test_waits_are_capped_however_many_attempts():
    assert POLICY.backoff(100_000, 1.0) == 10


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_wait": -1}, {"factor": 0.5}, {"longest_wait": -1}])
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError):
        RetryPolicy(**wrong)
