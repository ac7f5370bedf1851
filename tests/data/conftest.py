"""Opening a file that is to be refused."""

import pandas as pd
import pytest

from swarmlab.data import open_dataset
from swarmlab.errors import DataError, UserError


@pytest.fixture
def refused(tmp_path):
    """Open a file with this content; return the error's text, one line that names the file."""

    def write_and_open(content, name="sales.csv"):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(DataError) as caught:
            open_dataset(str(path), cache_dir=tmp_path / "cache")
        assert isinstance(caught.value, UserError)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(str(path), "FILE")

    return write_and_open
