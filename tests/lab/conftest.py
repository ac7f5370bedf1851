"""Every test of the laboratory here but those in real kernels talks to a scripted model."""

import pytest
from lab_fakes import FakeChat, fake_loader

from swarmlab.lab import measure as measure_function

MEASURE = measure_function.__module__


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> FakeChat:
    """The scripted model that `measure` gets for any spec."""
    chat = FakeChat(calls=[])
    monkeypatch.setattr(f"{MEASURE}.load_model", fake_loader(chat))
    return chat
