"""A provider's limits: token buckets that hold one minute's worth and refill steadily."""

import math

from swarmlab.errors import ModelError, RateLimitedError
from swarmlab.models.profile import Limits

# A bucket that should hold enough by now may miss it by rounding alone.
_TOLERANCE = 1e-6


class Bucket:
    """What may be used now: at most a minute's worth, full at the beginning."""

    def __init__(self, per_minute: float, now_ns: int) -> None:
        self._per_minute = per_minute
        self._level = per_minute
        self._at_ns = now_ns

    def missing_s(self, amount: float, now_ns: int) -> float:
        """Seconds until the bucket holds `amount`, if nobody else takes any."""
        refilled = self._per_minute * (now_ns - self._at_ns) / 60e9
        self._level = min(self._level + refilled, self._per_minute)
        self._at_ns = now_ns
        missing = amount - self._level
        return 0.0 if missing <= _TOLERANCE else missing / self._per_minute * 60

    def take(self, amount: float) -> None:
        """Use what `missing_s` found to be there."""
        self._level -= amount


class Admission:
    """Lets a call through when every limit has room for it."""

    def __init__(self, limits: Limits, now_ns: int) -> None:
        self._limits = limits
        by_name = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        self._buckets = {
            name: Bucket(per_minute, now_ns) for name, per_minute in by_name.items() if per_minute is not None
        }

    def admit(self, tokens: int, now_ns: int) -> None:
        """Take one request and its tokens.

        Raises
        ------
        RateLimitedError
            A bucket holds too little; says when it will hold enough, to the microsecond above.
        ModelError
            The call alone needs more tokens than the provider ever allows in a minute.
        """
        if not self._buckets:
            return
        limit = self._limits.tokens_per_minute
        if limit is not None and tokens > limit:
            raise ModelError(
                f"one call of {tokens} tokens can never pass a limit of {limit:g} tokens per minute; "
                "shorten the prompt or raise limits.tokens_per_minute"
            )
        amounts = {"requests": 1, "tokens": tokens}
        waits = {name: bucket.missing_s(amounts[name], now_ns) for name, bucket in self._buckets.items()}
        longest = max(waits, key=waits.__getitem__)
        if waits[longest] > 0:
            retry_after_s = math.ceil(waits[longest] * 1e6) / 1e6
            raise RateLimitedError(
                f"429: over the limit of {longest} per minute; retry after {retry_after_s:g} s", retry_after_s
            )
        for name, bucket in self._buckets.items():
            bucket.take(amounts[name])
