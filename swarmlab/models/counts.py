"""Tokens of one call: the provider's own counts, or an estimate that is labelled as one."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately

from swarmlab.models.constrained import ConstrainedChat


class TokenCounts(NamedTuple):
    """Tokens of one call."""

    prompt: int
    completion: int
    cached: int
    """Part of `prompt` that came from the provider's prefix cache; 0 where it does not say."""
    source: Literal["provider", "estimate"]


def prompt_tokens(chat: BaseChatModel, prompt: Sequence[BaseMessage]) -> int:
    """Tokens that a prompt will take: exact for the embedded and the simulated model, else an estimate.

    Providers' own `get_num_tokens` wants a tokenizer from the network.
    """
    if isinstance(chat, ConstrainedChat):
        return chat.get_num_tokens_from_messages(list(prompt))
    return count_tokens_approximately(prompt)


def token_counts(prompt: Sequence[BaseMessage], answer: AIMessage) -> TokenCounts:
    """Return the counts an answer carries, or LangChain's estimate (four characters a token) without them."""
    usage = answer.usage_metadata
    if usage is not None:
        cached = usage.get("input_token_details", {}).get("cache_read", 0)
        return TokenCounts(usage["input_tokens"], usage["output_tokens"], cached, "provider")
    return TokenCounts(
        count_tokens_approximately(prompt), count_tokens_approximately([answer]), 0, "estimate"
    )
