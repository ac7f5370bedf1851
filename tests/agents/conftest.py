"""A small dataset and its exam, made once."""

import pytest
from scripted import Sales

from swarmlab.agents.questions import set_exam
from swarmlab.data import open_dataset
from swarmlab.tools import Scope, entities, truth


@pytest.fixture(scope="session")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Sales:
    """Two thousand rows of generated sales."""
    dataset = open_dataset("beverage:2000", cache_dir=tmp_path_factory.mktemp("data"))
    known, names = truth(dataset, Scope()), entities(dataset, Scope())
    return Sales(dataset, known, names, set_exam(known, names, seed=0))
