"""Every test of the laboratory here but those in real kernels talks to a scripted model."""

import sys

import pytest
from lab_fakes import FakeChat, fake_loader

from swarmlab.lab import measure


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> FakeChat:
    """The scripted model that `measure` gets for any spec."""
    chat = FakeChat(calls=[])
    # Not by its dotted name: the package's `measure` is the function, which hides the module.
    monkeypatch.setattr(sys.modules[measure.__module__], "load_model", fake_loader(chat))
    return chat
