"""Whether to retry a request, and how long to wait first. Pure.

Not here: which failures are transient (errors.py), how many requests a server receives (rate_limit.py).
"""

from dataclasses import dataclass

from redcap_source.errors import RedcapError, TooLarge, Transient


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` in all, with waits that grow by `factor` from `first_wait` to `longest_wait` seconds.

    A wait is random, between half of that and all of it, so that clients that failed together do not retry together.
    """

    attempts: int = 5
    first_wait: float = 1.0
    factor: float = 2.0
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_wait < 0 or self.factor < 1 or self.longest_wait < 0:
            raise ValueError("A retry policy needs at least one attempt, waits of 0 or more, a factor of 1 or more.")

    def backoff(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the attempt with this number (from 1); `chance` is in [0, 1)."""
        # The exponent is limited because a float overflows near 2.0 ** 1024, long after any wait has its longest value.
        full = min(self.longest_wait, self.first_wait * self.factor ** min(attempt - 1, 60))
        return full * (0.5 + 0.5 * chance)


def wait_before_retry(error: BaseException, attempt: int, policy: RetryPolicy, chance: float) -> float | None:
    """Seconds to wait before the next attempt, after this many; None for no further attempt.

    A wait that the server asks for is used up to the policy's longest; if it asks for more, there is no retry.
    """
    if not isinstance(error, Transient) or attempt >= _attempts(error, policy):
        return None
    if error.retry_after is None:
        return policy.backoff(attempt, chance)
    return error.retry_after if error.retry_after <= policy.longest_wait else None


def _attempts(error: RedcapError, policy: RetryPolicy) -> int:
    most = error.max_attempts
    if isinstance(error, TooLarge) and error.context.smallest:
        most = error.max_attempts_smallest
    return policy.attempts if most is None else min(policy.attempts, most)
