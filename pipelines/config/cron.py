"""The validator of cron schedules."""

from __future__ import annotations

from pipelines.config.values import refused_value
from pipelines.wording import counted

CRON_FIELDS = (
    ("minute", range(60), ""),
    ("hour", range(24), ""),
    ("day of the month", range(1, 32), ""),
    ("month", range(1, 13), "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("day of the week", range(8), "sun mon tue wed thu fri sat"),
)


CRON_WORDS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")


LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def cron(text: str) -> str:
    """The text, if Dagster accepts it as a schedule. Checked here because importing Dagster takes a second."""
    if text in CRON_WORDS:
        return text
    parts = text.split()
    remedy = 'Write it like "0 2 * * *", which is two o\'clock every night.'
    if len(parts) != 5:
        raise refused_value(
            f"has {counted(len(parts), 'field')} instead of 5 (minute, hour, day, month, day of the week).", remedy
        )
    times = []
    for part, (name, allowed, words) in zip(parts, CRON_FIELDS, strict=True):
        values = _cron_field(part.lower(), allowed, words.split())
        if not values:
            raise refused_value(f"has no {name} that cron knows.", remedy)
        times.append(values)
    _, _, days, months, _ = times
    if min(days) > max(LONGEST_MONTH.get(month, 31) for month in months):
        raise refused_value("names a day that its months do not have, so it would never run.", remedy)
    return text


def _cron_field(text: str, allowed: range, words: list[str]) -> set[int]:
    """The numbers that a field stands for; none if it cannot be read."""
    numbers = {word: str(allowed[i]) for i, word in enumerate(words)}
    values: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, dash, last = (numbers.get(bound, bound) for bound in span.partition("-"))
        if span == "*":
            first, last = str(allowed[0]), str(allowed[-1])
        elif not dash:
            last = first
        if not all(n.isascii() and n.isdigit() for n in (first, last, step if slash else "1")):
            return set()
        # Implementations of cron read a step after a single number differently.
        if (slash and span != "*" and not dash) or int(step or 1) not in range(1, allowed[-1] + 1):
            return set()
        chosen = range(int(first), int(last) + 1, int(step or 1))
        if not chosen or chosen[0] not in allowed or chosen[-1] not in allowed:
            return set()
        values.update(chosen)
    return values
