"""Results: the record of a run, the store, and tables, plots and a report made only from what is on disk."""

from swarmlab.records.alerts import load_rules, with_alerts
from swarmlab.records.manifest import cpu_reading, other_cpu_share
from swarmlab.records.record import Record
from swarmlab.records.store import read_records, write_run

__all__ = [
    "Record",
    "cpu_reading",
    "load_rules",
    "other_cpu_share",
    "read_records",
    "with_alerts",
    "write_run",
]
