"""The attempts at one answer of a provider: which failures are tried again, how soon, and when to stop."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

from langchain_core.exceptions import ModelError as ProviderError
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration
from tenacity import RetryCallState, retry_if_exception_type

from swarmlab.errors import ModelError, RateLimitedError, ServerError
from swarmlab.trace.backoff import Backoff
from swarmlab.trace.clock import Clock

RETRIED_STATUSES = frozenset({408, 409, 429})
"""Besides 5xx: the statuses after which OpenAI's own client asks again."""

SPENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes of a 429 that no waiting ends."""

FINISH_KEYS = ("finish_reason", "stop_reason", "done_reason", "stopReason", "status")
"""Where providers say why an answer ended."""

CUT_REASONS = frozenset({"length", "max_tokens", "model_length", "incomplete"})
"""Reasons that mean an answer was cut at a limit of tokens."""

SCHEMA_OPTIONS = frozenset({"response_format", "response_schema", "format", "tools", "functions"})
"""Options of a call by which providers take a schema."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long a provider is asked for one answer."""

    attempts: int = 4
    budget_s: float = 120.0
    """Seconds for all attempts and waits; no attempt starts after it, and the last is cut at its end."""
    timeout_s: float = 60.0
    """Seconds for one attempt; of a stream, for each piece."""
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.5, most_s=20.0))


class Attempts:
    """One answer's attempts so far, by the clock.

    Parameters
    ----------
    name
        The model, for messages.
    prompt
        Waits are drawn from it, so that calls refused together do not come back together.
    """

    def __init__(self, name: str, retries: Retries, clock: Clock, prompt: Sequence[BaseMessage]) -> None:
        self.made = 0
        self._name = name
        self._retries = retries
        self._clock = clock
        self._prompt = [message.text for message in prompt]
        self._started_ns = clock.now_ns()
        self._refused = 0
        self._least_wait_s = 0.0

    @property
    def policy(self) -> dict[str, Any]:
        """For tenacity: what is tried again, after which wait, until when, and the error at the end."""
        return {
            "retry": retry_if_exception_type((RateLimitedError, ServerError)),
            "wait": self._wait_s,
            "stop": self._is_over,
            "retry_error_callback": self._give_up,
        }

    @property
    def piece_s(self) -> float:
        """Seconds that a piece of a stream may take after the first."""
        return self._retries.timeout_s

    def left_s(self) -> float:
        """Seconds that the next attempt, or the first piece of its stream, may take."""
        return max(0.0, min(self._retries.timeout_s, self._retries.budget_s - self._spent_s()))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count an attempt and turn what a provider raises into swarmlab's errors.

        Raises
        ------
        RateLimitedError, ServerError
            It was refused, failed, or was cut; it may be tried again.
        ModelError
            The provider will never answer this call.
        """
        self.made += 1
        self._least_wait_s = 0.0
        try:
            yield
        except ModelError as error:
            self._refused += isinstance(error, RateLimitedError)
            raise
        except Exception as error:
            fault = self._fault(error)
            self._refused += isinstance(fault, RateLimitedError)
            if fault is None:
                raise
            raise fault from error

    @contextmanager
    def rest(self) -> Iterator[None]:
        """What follows when part of a stream was handed on: a failure is final, a ModelError."""
        try:
            yield
        except (RateLimitedError, ServerError) as error:
            raise self._broken_off(str(error)) from error
        except ModelError:
            raise
        except Exception as error:
            fault = self._fault(error)
            if fault is None:
                raise
            raise self._broken_off(str(fault)) from error

    def _broken_off(self, told: str) -> ModelError:
        return ModelError(f"{self._name} broke off its answer, of which part was handed on: {told}")

    def check_finish(self, reason: str | None, options: Mapping[str, Any]) -> None:
        """Refuse an answer that was cut, by why it ended and the options of its call.

        Raises
        ------
        ServerError
            It does not say why it ended, so part of it may be missing.
        ModelError
            It was cut at its limit of tokens, and a schema was asked for: asked again it would be cut again.
        """
        if reason is None:
            raise ServerError("its answer broke off: it does not say why it ended")
        if reason.lower() in CUT_REASONS and SCHEMA_OPTIONS & set(options):
            raise ModelError(
                f"{self._name} gave an answer that was cut at its limit of tokens ({reason}): "
                "allow more tokens, or ask for less"
            )

    def _spent_s(self) -> float:
        return (self._clock.now_ns() - self._started_ns) / 1e9

    def _wait_s(self, _: RetryCallState) -> float:
        drawn_s = self._retries.backoff.wait_s(self.made, self._name, *self._prompt)
        return max(drawn_s, self._least_wait_s)

    def _is_over(self, state: RetryCallState) -> bool:
        is_spent = self._spent_s() + state.upcoming_sleep >= self._retries.budget_s
        return self.made >= self._retries.attempts or is_spent

    def _give_up(self, state: RetryCallState) -> NoReturn:
        assert state.outcome is not None
        last = state.outcome.exception()
        told = f"{last}"
        if self.made < self._retries.attempts:
            told += f"; the next attempt, {state.upcoming_sleep:.3g} s later, would be beyond the budget of "
            told += f"{self._retries.budget_s:g} s"
        raise gave_up(self._name, self.made, self._refused, told) from last

    def _fault(self, error: Exception) -> ModelError | None:
        """What an error means; None where it is not the provider's."""
        status, told = _status(error), _told(error)
        if status is not None:
            told = f"HTTP {status}: {told}"
            self._least_wait_s = self._retry_after_s(error)
        if status == 429 and getattr(error, "code", None) not in SPENT_CODES:
            return RateLimitedError(told, self._least_wait_s)
        if status is not None and (status >= 500 or status in RETRIED_STATUSES - {429}):
            return ServerError(told)
        if status is not None or type(error).__name__ == "LengthFinishReasonError":
            return ModelError(f"{self._name} does not answer this call: {told}")
        return ServerError(told) if _is_broken_off(error) else None

    def _retry_after_s(self, error: Exception) -> float:
        """Seconds that a provider asks to wait, as a number or a date; 0 where it does not ask."""
        headers = getattr(getattr(error, "response", None), "headers", {})
        try:
            if "retry-after-ms" in headers:
                return max(0.0, float(headers["retry-after-ms"]) / 1000)
            value = headers.get("retry-after", "0")
            if value.replace(".", "", 1).isdecimal():
                return float(value)
            return max(0.0, (parsedate_to_datetime(value) - self._clock.utc_now()).total_seconds())
        except (TypeError, ValueError):
            return 0.0


def gave_up(name: str, attempts: int, refused: int, told: str) -> ModelError:
    """The error after the last attempt, for providers real and simulated."""
    counts = f"refused {refused}, failed {attempts - refused}"
    return ModelError(f"{name} gave no answer in {attempts} attempts ({counts}): {told}")


def finish_reason(generation: ChatGeneration) -> str | None:
    """Why an answer, or a stream up to this piece, ended; None where it does not say."""
    for said in (generation.message.response_metadata, generation.generation_info or {}):
        for key in FINISH_KEYS:
            if said.get(key):
                return str(said[key])
    return None


def _status(error: Exception) -> int | None:
    """The HTTP status that providers' errors carry in one of three ways."""
    for place in (error, getattr(error, "response", None)):
        for name in ("status_code", "code"):
            status = getattr(place, name, None)
            # An answer of status 200 may fail to be read.
            if isinstance(status, int) and status >= 400:
                return status
    return None


def _told(error: Exception) -> str:
    lines = str(error).splitlines() or [
        "it took too long" if isinstance(error, TimeoutError) else "no message"
    ]
    return f"{type(error).__name__}: {lines[0]}"


def _is_broken_off(error: BaseException | None) -> bool:
    """Whether a connection was lost or slow, or a body was no whole JSON, as the error or as its cause."""
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError | json.JSONDecodeError):
            return True
        if isinstance(error, ProviderError) and error.is_retryable:
            return True
        # Of httpx, or of the library that its client was moved to.
        if any(kind.__name__ == "TransportError" for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False
