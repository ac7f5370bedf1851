"""A model that is ready to be called, and what a record says about it."""

from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models.chat_models import BaseChatModel

from swarmlab.models.embedded import EmbeddedChat


@dataclass(frozen=True)
class LoadedModel:
    """A chat model with its identity and cost of loading."""

    chat: BaseChatModel
    """Makes choices."""
    writer: BaseChatModel
    """The same model set for writing prose; the same object where a provider has no such setting."""
    id: str
    """`embedded:FILE-STEM`, or the provider's spec as given."""
    file_hash: str | None
    """SHA-256 of the weights, where there is a file."""
    load_s: float
    """Seconds to load (and import), outside any measured time; fetching weights is not part of it."""
    tokens_source: Literal["provider", "estimate"]
    """`provider` when answers carry the provider's own counts."""
    context_tokens: int | None
    """The context the model runs with, where known."""

    def close(self) -> None:
        """Free an embedded model's memory; nothing to do for others. May be called twice."""
        if isinstance(self.chat, EmbeddedChat):
            self.chat.engine.close()
