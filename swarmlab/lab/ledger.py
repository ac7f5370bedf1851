"""The ledger of an ablation for whoever asks: which experiment to run, and what its results say."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from swarmlab.errors import StoreError
from swarmlab.lab.experiment import default_spec
from swarmlab.lab.results import Result
from swarmlab.records.ledger_text import ledger_dict, render_ledger


def ablation_spec() -> Path:
    """The experiment that `swarmlab ablate` runs: `experiments/ablation.yaml`, beside the default one."""
    return default_spec().with_name("ablation.yaml")


def ledger_json(result: Result) -> list[dict[str, Any]]:
    """Return the ledger of an ablation's results for JSON; see `swarmlab.records.ledger_text.ledger_dict`.

    Raises
    ------
    StoreError
        The results are of no ablation.
    """
    return ledger_dict(_ledger(result))


def ledger_tables(result: Result) -> list[Table]:
    """Return the ledger of an ablation's results for the terminal.

    Raises
    ------
    StoreError
        The results are of no ablation.
    """
    return render_ledger(_ledger(result))


def _ledger(result: Result) -> pd.DataFrame:
    ledger = result.tables["ledger"]
    if ledger.empty:
        raise StoreError(
            f"{result.folder} holds no ablation; run one, or name the results folder of one "
            "(its manifest.json has a design)"
        )
    return ledger
