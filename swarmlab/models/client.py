"""How a client gets its answer out of a simulated provider: it asks again when it is refused or fails."""

from collections.abc import Callable
from typing import NamedTuple

from swarmlab.errors import RateLimitedError, ServerError
from swarmlab.models.attempts import gave_up
from swarmlab.models.author import Draft
from swarmlab.models.draws import digest, share
from swarmlab.models.server import Served, SimulatedServer
from swarmlab.trace.backoff import backoff_s


class Delivered(NamedTuple):
    """A served call, and what it took to get it."""

    served: Served
    queue_ns: int
    """All that was no prefill and no decode: the queue, refusals, failures, and the waits after them."""
    attempts: int


async def deliver(
    server: SimulatedServer, draft: Draft, draw: str, on_first_token: Callable[[], None] | None = None
) -> Delivered:
    """Have a server answer; tries again as the profile's `retry` says.

    Raises
    ------
    ModelError
        The last attempt was refused or failed too; says how often and why.
    """
    clock = server.clock
    most = server.profile.retry.max_attempts
    started_ns = clock.now_ns()
    refused = 0
    for attempt in range(1, most + 1):
        try:
            served = await server.complete(
                draft.prompt, draft.prompt_tokens, draft.completion_tokens, draw, attempt, on_first_token
            )
        except (RateLimitedError, ServerError) as error:
            least_s = error.retry_after_s if isinstance(error, RateLimitedError) else 0.0
            refused += isinstance(error, RateLimitedError)
            if attempt == most:
                raise gave_up(f"simulated:{server.profile.name}", attempt, refused, str(error)) from error
        else:
            busy_ns = served.prefill_ns + served.decode_ns
            return Delivered(served, clock.now_ns() - started_ns - busy_ns, attempt)
        await clock.sleep(max(wait_s(server, draft.prompt, draw, attempt), least_s))
    raise AssertionError("a profile's max_attempts is at least 1")


def wait_s(server: SimulatedServer, prompt: str, draw: str, attempt: int) -> float:
    """Seconds to wait after an attempt: doubling, and at random between half and the whole of that."""
    retry = server.profile.retry
    drawn = digest(server.profile.seed, server.seed, draw, attempt, "wait", prompt)
    return backoff_s(retry.first_wait_s, retry.max_wait_s, attempt, share(drawn))
