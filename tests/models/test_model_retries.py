"""Retries of model calls against a local server: what is asked again, how often, how soon; what is not."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from langchain_core.exceptions import ModelConnectionError
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from pydantic import BaseModel
from scripted_provider import TEXT, Answer, ScriptedProvider, served

from swarmlab.errors import ModelError, RateLimitedError, ServerError
from swarmlab.models import LoadedModel
from swarmlab.models.attempts import Attempts, Retries
from swarmlab.models.provider import load_provider
from swarmlab.models.retrying import with_retries
from swarmlab.trace.backoff import Backoff
from swarmlab.trace.clock import WallClock

QUICK = Backoff(first_s=0.01, most_s=0.02)
SOUND = Answer()
REFUSED = Answer(429)
FAILED = Answer(500)
RESET = Answer(fault="reset")
CUT = Answer(fault="cut")
GARBAGE = Answer(fault="garbage")
SLOW = Answer(fault="slow")
ENDLESS = Answer(finish_reason=None)
TOO_LONG = Answer(finish_reason="length")


class NotedWaits(WallClock):
    """A wall clock that notes how long it is asked to wait, and does not."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        await super().sleep(0)


def _load(base_url: str, clock: WallClock | None = None, **limits: Any) -> LoadedModel:
    retries = Retries(**{"timeout_s": 20.0, "backoff": QUICK, **limits})
    return load_provider("openai:m", clock=clock or WallClock(), base_url=base_url, retries=retries)


async def _ask(base_url: str, clock: WallClock | None = None, **limits: Any) -> AIMessage:
    answer = await _load(base_url, clock, **limits).chat.ainvoke("Do sales grow?")
    assert isinstance(answer, AIMessage)
    return answer


FAULTS = {
    "refused": (REFUSED, {}),
    "failed": (FAILED, {}),
    "unavailable": (Answer(503), {}),
    "timed out at the other side": (Answer(408), {}),
    "reset": (RESET, {}),
    "cut body": (CUT, {}),
    "no JSON": (GARBAGE, {}),
    "no reason to end": (ENDLESS, {}),
    "slow": (SLOW, {"timeout_s": 0.5}),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("is_async", [True, False])
async def test_what_may_pass_is_asked_again(fault: str, is_async: bool) -> None:
    """One fault and then an answer: the answer comes whole, after two calls, and says so."""
    faulty, limits = FAULTS[fault]
    with served(faulty, SOUND) as (provider, base_url):
        chat = _load(base_url, **limits).chat
        ask = chat.ainvoke("Do sales grow?") if is_async else asyncio.to_thread(chat.invoke, "Do sales grow?")
        answer = await ask
    assert answer.text == TEXT
    assert answer.response_metadata["attempts"] == len(provider.asked) == 2
    assert answer.usage_metadata is not None


async def test_a_sound_answer_takes_one_call() -> None:
    """Nothing is asked twice without a reason."""
    with served(SOUND) as (provider, base_url):
        answer = await _ask(base_url)
    assert (answer.response_metadata["attempts"], len(provider.asked)) == (1, 1)


async def test_all_kinds_of_faults_are_counted_together() -> None:
    """Refusals, failures, resets and cuts share the attempts; the fifth call answers."""
    with served(REFUSED, FAILED, RESET, CUT, SOUND) as (provider, base_url):
        answer = await _ask(base_url, attempts=5)
    assert answer.response_metadata["attempts"] == len(provider.asked) == 5


async def test_exhaustion_says_how_often_and_why() -> None:
    """When no attempt is left the error counts refusals and failures, and keeps the last one as its cause."""
    with (
        served(REFUSED, FAILED, RESET, FAILED) as (provider, base_url),
        pytest.raises(
            ModelError,
            match=r"^openai:m gave no answer in 4 attempts \(refused 1, failed 3\): HTTP 500: .*as scripted",
        ) as found,
    ):
        await _ask(base_url, attempts=4)
    assert len(provider.asked) == 4
    assert isinstance(found.value.__cause__, ServerError)


async def test_a_limit_that_stays_is_a_refusal() -> None:
    """After refusals alone the cause is the simulated client's class, with the wait it asked for."""
    told = r"2 attempts \(refused 2, failed 0\): HTTP 429"
    with (
        served(Answer(429, {"Retry-After": "7"})) as (_, base_url),
        pytest.raises(ModelError, match=told) as found,
    ):
        await _ask(base_url, NotedWaits(), attempts=2)
    cause = found.value.__cause__
    assert isinstance(cause, RateLimitedError)
    assert cause.retry_after_s == 7.0


@pytest.mark.parametrize(
    "answer",
    [Answer(400), Answer(401), Answer(403), Answer(404), Answer(429, code="insufficient_quota")],
    ids=lambda answer: f"{answer.status} {answer.code}",
)
async def test_what_will_not_pass_is_asked_once(answer: Answer) -> None:
    """A bad request, key or name, and a quota that is spent, are told at the first call."""
    told = rf"openai:m does not answer this call: HTTP {answer.status}"
    with served(answer, SOUND) as (provider, base_url), pytest.raises(ModelError, match=told):
        await _ask(base_url)
    assert len(provider.asked) == 1


LATER = "a date 100 s from now"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        ({"Retry-After": "61"}, 61, 61),
        ({"Retry-After": "0.5"}, 0.5, 0.5),
        ({"Retry-After": LATER}, 50, 101),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5, 1.5),
        ({"Retry-After": "soon"}, 0.005, 0.02),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.005, 0.02),
        ({}, 0.005, 0.02),
    ],
)
async def test_the_wait_is_what_the_provider_asks_for(
    status: int, headers: dict[str, str], least_s: float, most_s: float
) -> None:
    """Seconds, milliseconds or a date are obeyed, over a minute too; else the backoff decides."""
    clock = NotedWaits()
    if headers.get("Retry-After") == LATER:
        headers = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)}
    with served(Answer(status, headers), SOUND) as (_, base_url):
        await _ask(base_url, clock)
    (wait_s,) = clock.waits_s
    assert least_s <= wait_s <= most_s


async def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    """A provider that asks for ten minutes, where two seconds are left, is given up at once."""
    clock = NotedWaits()
    told = "600 s later, would be beyond the budget of 20 s"
    asks_too_much = Answer(429, {"Retry-After": "600"})
    with served(asks_too_much, SOUND) as (provider, base_url), pytest.raises(ModelError, match=told):
        await _ask(base_url, clock, budget_s=20.0)
    assert (clock.waits_s, len(provider.asked)) == ([], 1)


async def test_the_last_attempt_is_cut_at_the_end_of_the_budget() -> None:
    """A slow provider cannot hold a call longer than its budget, whatever one attempt may take."""
    with (
        served(SLOW) as (provider, base_url),
        pytest.raises(ModelError, match=r"1 attempts \(refused 0, failed 1\): TimeoutError: it took too"),
    ):
        await _ask(base_url, budget_s=0.5, timeout_s=600.0)
    assert len(provider.asked) == 1


def test_calls_refused_together_do_not_come_back_together() -> None:
    """The wait is drawn from the prompt: the same for the same prompt, another for another."""

    def wait_s(prompt: str) -> float:
        attempts = Attempts("m", Retries(), WallClock(), [HumanMessage(prompt)])
        attempts.made = 1
        return attempts.policy["wait"](None)

    assert wait_s("one") == wait_s("one")
    assert len({wait_s(str(n)) for n in range(20)}) == 20


class Verdict(BaseModel):
    """An answer under a schema."""

    grows: bool


SCHEMA = {**Verdict.model_json_schema(), "title": "verdict", "description": "A verdict."}


@pytest.mark.parametrize("schema", [Verdict, SCHEMA], ids=["class", "schema"])
async def test_structured_output_is_asked_again_too(schema: Any) -> None:
    """The provider's own structured output comes through whole, raw message and attempts included."""
    with served(FAILED, CUT, SOUND) as (provider, base_url), warnings.catch_warnings():
        # The client warns about its own models when it parses into a class.
        warnings.simplefilter("ignore", UserWarning)
        structured = _load(base_url).chat.with_structured_output(schema, include_raw=True)
        result = await structured.ainvoke("Do sales grow?")
    assert isinstance(result, dict)
    assert result["parsed"] == (Verdict(grows=True) if schema is Verdict else {"grows": True})
    assert result["raw"].response_metadata["attempts"] == len(provider.asked) == 3
    assert provider.asked[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
async def test_an_answer_cut_at_its_limit_is_no_answer_under_a_schema(method: Any) -> None:
    """It is an error after one call: at temperature 0 it would be cut again."""
    with served(TOO_LONG) as (provider, base_url):
        structured = _load(base_url).chat.with_structured_output(SCHEMA, method=method, include_raw=True)
        with pytest.raises(ModelError, match=r"length"):
            await structured.ainvoke("Do sales grow?")
    assert len(provider.asked) == 1


async def test_prose_may_be_as_short_as_was_asked() -> None:
    """Without a schema an answer of `max_tokens` tokens is what the caller wanted."""
    with served(TOO_LONG) as (_, base_url):
        answer = await _ask(base_url)
    assert answer.text == TEXT


async def _pieces(chat: BaseChatModel, is_async: bool) -> list[Any]:
    if is_async:
        return [piece async for piece in chat.astream("Do sales grow?")]
    return await asyncio.to_thread(lambda: list(chat.stream("Do sales grow?")))


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("fault", [REFUSED, FAILED, RESET, CUT, Answer(finish_reason=None, text="")])
async def test_a_stream_is_tried_again_until_its_first_words(fault: Answer, is_async: bool) -> None:
    """Refused, or cut before any content: the second stream comes whole and without what the first began."""
    with served(fault, SOUND) as (provider, base_url):
        pieces = await _pieces(_load(base_url).chat, is_async)
    whole = sum(pieces[1:], pieces[0])
    assert whole.text == TEXT
    assert whole.response_metadata["attempts"] == len(provider.asked) == 2
    assert len([piece for piece in pieces if piece.text]) == 2


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Answer(fault="cut later"), "it does not say why it ended"),
        (Answer(finish_reason=None), "it does not say why it ended"),
        (Answer(fault="stalled"), "Timeout"),
    ],
)
async def test_a_stream_that_breaks_off_is_never_taken_for_whole(
    fault: Answer, told: str, is_async: bool
) -> None:
    """When words were handed on already, the end of the stream is an error, and no second call is made."""
    with served(fault, SOUND) as (provider, base_url):
        chat = _load(base_url, timeout_s=0.5 if fault.fault == "stalled" else 20.0).chat
        with pytest.raises(ModelError, match=f"openai:m broke off its answer, of which part .*{told}"):
            await _pieces(chat, is_async)
    assert len(provider.asked) == 1


async def test_tools_can_be_bound() -> None:
    """A model with tools is still the retrying one, and sends them."""

    @tool
    def kpis(region: str) -> str:
        """Key figures of a region."""
        return region

    with served(FAILED, SOUND) as (provider, base_url):
        answer = await _load(base_url).chat.bind_tools([kpis]).ainvoke("Do sales grow?")
    assert answer.response_metadata["attempts"] == 2
    assert provider.asked[-1]["tools"][0]["function"]["name"] == "kpis"


class OtherChat(BaseChatModel):
    """A provider of another kind: raises classes of its own, and does not stream."""

    faults: list[Exception]

    @property
    def _llm_type(self) -> str:
        return "other"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        if self.faults:
            raise self.faults.pop(0)
        message = AIMessage(TEXT, response_metadata={"stop_reason": "end_turn"})
        return ChatResult(generations=[ChatGeneration(message=message)])


class OtherStream(OtherChat):
    """The same, streaming: after its first piece nothing comes any more."""

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(TEXT))
        await WallClock().sleep(600)


@pytest.mark.parametrize(
    "fault",
    [
        httpx.RemoteProtocolError("peer closed the connection"),
        httpx.ReadTimeout("slow"),
        ConnectionResetError("reset"),
        TimeoutError(),
        ModelConnectionError("cannot be reached"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_faults_of_other_providers_are_known_by_their_kind(fault: Exception) -> None:
    """Whatever library a provider's class is built on, a lost connection is tried again."""
    chat = with_retries(OtherChat(faults=[fault]), "other:m", Retries(backoff=QUICK), WallClock())
    answer = await chat.ainvoke("Do sales grow?")
    assert (answer.text, answer.response_metadata["attempts"]) == (TEXT, 2)


async def test_a_provider_that_does_not_stream_is_not_made_to() -> None:
    """Its answer comes as one piece, by the way that is tried again."""
    other = OtherChat(faults=[ConnectionResetError("reset")])
    chat = with_retries(other, "other:m", Retries(backoff=QUICK), WallClock())
    pieces = [piece async for piece in chat.astream("Do sales grow?")]
    assert [piece.text for piece in pieces if piece.text] == [TEXT]


async def test_a_stream_that_stalls_is_cut_without_the_providers_help() -> None:
    """A piece that does not come within the timeout ends the stream as an error."""
    retries = Retries(timeout_s=0.2, backoff=QUICK)
    chat = with_retries(OtherStream(faults=[]), "other:m", retries, WallClock())
    told = r"other:m broke off its answer, .*TimeoutError: it took too long"
    with pytest.raises(ModelError, match=told):
        await asyncio.wait_for(_pieces(chat, is_async=True), 30)


async def test_cancelling_a_call_ends_its_retries() -> None:
    """A cancelled call comes out cancelled, not as a fault of the model, and asks no more."""
    with served(SLOW) as (provider, base_url):
        call = asyncio.create_task(_ask(base_url))
        async with asyncio.timeout(30):
            while not provider.asked:
                await WallClock().sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert len(provider.asked) == 1


async def test_errors_that_are_not_the_providers_come_through() -> None:
    """A mistake in the call itself is neither tried again nor dressed up."""
    with served(SOUND) as (provider, base_url):
        chat = _load(base_url).chat
        with pytest.raises(TypeError, match="nonsense"):
            await chat.ainvoke("Do sales grow?", nonsense=1)
    assert provider.asked == []


async def test_a_server_that_is_not_there_is_named() -> None:
    """A refused connection is tried again and then told."""
    with served(SOUND) as (_, base_url):
        pass
    with pytest.raises(ModelError, match=r"openai:m gave no answer in 2 attempts \(refused 0, failed 2\)"):
        await _ask(base_url, attempts=2)


def test_the_clients_own_retries_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt is one that is counted."""
    chat: Any = _load("http://127.0.0.1:1/v1").chat
    assert (chat.max_retries, chat.request_timeout) == (0, 20.0)
    assert (chat.root_client.max_retries, chat.root_async_client.max_retries) == (0, 0)
    assert isinstance(ScriptedProvider([SOUND]).next({}), Answer)
