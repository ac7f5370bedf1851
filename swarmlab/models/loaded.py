"""A model that is ready to be called, and what a record says about it."""

from dataclasses import dataclass, replace
from typing import Literal

from langchain_core.language_models.chat_models import BaseChatModel

from swarmlab.models.embedded import EmbeddedChat
from swarmlab.models.profile import Profile
from swarmlab.models.simulated import SimulatedChat


@dataclass(frozen=True)
class LoadedModel:
    """A chat model with its identity and cost of loading."""

    chat: BaseChatModel
    """Makes choices."""
    writer: BaseChatModel
    """The same model set for writing prose; the same object where a provider has no such setting."""
    id: str
    """`embedded:FILE-STEM`, `simulated:PROFILE-NAME`, or the provider's spec as given."""
    file_hash: str | None
    """SHA-256 of the weights or of what a profile says, where there is a file."""
    load_s: float
    """Seconds to load (and import), outside any measured time; fetching weights is not part of it."""
    tokens_source: Literal["provider", "estimate", "simulated"]
    """`provider` when answers carry the provider's own counts; `simulated` when a profile's weights count."""
    context_tokens: int | None
    """The context the model runs with, where known."""
    profile: Profile | None = None
    """Of a simulated model."""

    def for_run(self, draw: str) -> "LoadedModel":
        """The model as one run of a simulation has it: jitter and failures of its own, the same server.

        Parameters
        ----------
        draw
            Names the run; the same name draws the same. Means nothing to a model that is not simulated.
        """
        if not isinstance(self.chat, SimulatedChat):
            return self
        chat = self.chat.model_copy(update={"draw": draw})
        return replace(self, chat=chat, writer=chat)

    def close(self) -> None:
        """Free an embedded model's memory; nothing to do for others. May be called twice."""
        if isinstance(self.chat, EmbeddedChat):
            self.chat.engine.close()
