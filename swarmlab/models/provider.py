"""Any chat model LangChain knows, by `init_chat_model`: `openai:NAME`, `ollama:NAME`, …"""

import os
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models.chat_models import BaseChatModel

from swarmlab.errors import ModelUnavailableError
from swarmlab.models.attempts import Retries
from swarmlab.models.loaded import LoadedModel
from swarmlab.models.retrying import with_retries
from swarmlab.trace.clock import Clock

# Providers whose LangChain class takes a `seed`.
_SEEDED = frozenset({"openai", "azure_openai", "ollama"})
_KEY_VARIABLE = "OPENAI_API_KEY"
_RETRIES = Retries()


def load_provider(
    spec: str, *, clock: Clock, seed: int = 0, base_url: str | None = None, retries: Retries = _RETRIES
) -> LoadedModel:
    """Make the chat model `spec` names, at temperature 0, which asks again. Nothing is sent yet.

    Parameters
    ----------
    spec
        `PROVIDER:NAME` as `init_chat_model` takes it.
    base_url
        Address of an OpenAI-compatible server, for `openai:NAME` (`OPENAI_BASE_URL` works too). Such a server
        often wants no key: without `OPENAI_API_KEY` a placeholder is sent.
    retries
        How often and how long an answer is asked for.

    Raises
    ------
    ModelUnavailableError
        Unknown provider, missing package or missing key; says which.
    """
    started_ns = clock.now_ns()
    try:
        if not spec:
            # LangChain would return a model to be named later.
            raise ValueError("it has no name")
        chat = _without_own_retries(spec, _settings(spec, seed, base_url), retries)
    except ImportError as error:
        raise ModelUnavailableError(
            f"model {spec!r} needs a package that is not installed: {error}"
        ) from error
    except Exception as error:  # every provider raises its own class for a missing key
        raise ModelUnavailableError(
            f"model {spec!r} cannot be used: {_first_line(error)} "
            "(models are named simulated, simulated:PROFILE, embedded, embedded:/path/file.gguf or "
            "PROVIDER:NAME, such as openai:NAME)"
        ) from error
    chat = with_retries(chat, spec, retries, clock)
    return LoadedModel(
        chat=chat,
        writer=chat,
        id=spec,
        file_hash=None,
        load_s=(clock.now_ns() - started_ns) / 1e9,
        tokens_source="provider",
        context_tokens=None,
    )


def _without_own_retries(spec: str, settings: dict[str, Any], retries: Retries) -> BaseChatModel:
    """The provider's chat model; where its client asks again by itself, unseen, that is switched off."""
    chat: BaseChatModel = init_chat_model(spec, **settings)
    known = {name for field, info in type(chat).model_fields.items() for name in (field, info.alias)}
    limits = {"max_retries": 0, "timeout": retries.timeout_s}
    taken = {name: value for name, value in limits.items() if name in known}
    return init_chat_model(spec, **{**settings, **taken}) if taken else chat


def _settings(spec: str, seed: int, base_url: str | None) -> dict[str, Any]:
    provider = spec.partition(":")[0]
    settings: dict[str, Any] = {"temperature": 0}
    if provider in _SEEDED:
        settings["seed"] = seed
    if provider == "openai":
        # LangChain asks for counts in a stream by itself only at the official address.
        settings["stream_usage"] = True
    if base_url is not None:
        settings["base_url"] = base_url
    own_server = base_url is not None or "OPENAI_BASE_URL" in os.environ
    if provider == "openai" and own_server and _KEY_VARIABLE not in os.environ:
        settings["api_key"] = "none-needed"
    return settings


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
