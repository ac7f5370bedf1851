"""A fixture that writes made-up results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_results import write_fake_results


@pytest.fixture
def fake_results(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes made-up results under a temporary folder and returns it."""

    def write(**options: Any) -> Path:
        folder = tmp_path / "fake-experiment"
        write_fake_results(folder, **options)
        return folder

    return write
