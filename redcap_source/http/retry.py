"""When to ask again, and how long to wait first: a pure rule, plugged into tenacity by the client.

Which failures are transient is errors.py's business; how many requests a server bears is pace.py's.
"""

from dataclasses import dataclass

from redcap_source.errors import RedcapError, TooLarge, Transient


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be: `attempts` in all, waits that grow by `factor` from `first_wait` to `longest_wait` seconds.

    A wait is drawn between half of that and the whole, so that clients that failed together do not return together.
    """

    attempts: int = 5
    first_wait: float = 1.0
    factor: float = 2.0
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_wait < 0 or self.factor < 1 or self.longest_wait < 0:
            raise ValueError("A retry policy needs an attempt or more, waits of 0 or more, a factor of 1 or more.")

    def backoff(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the attempt with this number (from 1); `chance` is in [0, 1)."""
        # The exponent is capped because a float overflows near 2.0 ** 1024, long after any wait is capped.
        full = min(self.longest_wait, self.first_wait * self.factor ** min(attempt - 1, 60))
        return full * (0.5 + 0.5 * chance)


NO_RETRY = RetryPolicy(attempts=1)


def wait_before_retry(error: BaseException, attempt: int, policy: RetryPolicy, chance: float) -> float | None:
    """Seconds to wait before asking again after this many attempts; None to give up.

    A server that names its own wait is obeyed up to the policy's longest; one that wants more is given up on.
    """
    if not isinstance(error, Transient) or attempt >= _attempts(error, policy):
        return None
    if error.retry_after is None:
        return policy.backoff(attempt, chance)
    return error.retry_after if error.retry_after <= policy.longest_wait else None


def _attempts(error: RedcapError, policy: RetryPolicy) -> int:
    worth = error.max_attempts
    if isinstance(error, TooLarge) and error.context.smallest:
        worth = error.max_attempts_smallest
    return policy.attempts if worth is None else min(policy.attempts, worth)
