"""The laboratory: plan an experiment, run its cells, read its results."""

from swarmlab.lab.api import Plan, arun, execute, make_cell, plan, run
from swarmlab.lab.calibration.calibrate import Calibration, calibrate
from swarmlab.lab.catalogue import Listed, list_tools, tool_text, tools_table
from swarmlab.lab.certify import Certificate, certify
from swarmlab.lab.compare import Comparison, compare
from swarmlab.lab.experiment import Cell, Spec, default_spec, load_spec
from swarmlab.lab.guard import Guard, against
from swarmlab.lab.ledger import ablation_spec, ledger_json, ledger_tables
from swarmlab.lab.load.capacity import Capacity, capacity, open_capacity
from swarmlab.lab.measure import ameasure, measure
from swarmlab.lab.results import Result, open_results, republish, run_figure
from swarmlab.lab.simulate import Simulator, simulate, simulate_levels
from swarmlab.lab.study.phases import is_phases_spec, run_phases
from swarmlab.lab.study.replication import Replication, replicate
from swarmlab.lab.traces import bottlenecks_tables, trace_bottlenecks
from swarmlab.lab.whatif import WhatIf, run_change, whatif, whatif_table
from swarmlab.lab.whatif_experiment import whatif_experiment
from swarmlab.records.phases import phases_terminal

__all__ = [
    "Calibration",
    "Capacity",
    "Cell",
    "Certificate",
    "Comparison",
    "Guard",
    "Listed",
    "Plan",
    "Replication",
    "Result",
    "Simulator",
    "Spec",
    "WhatIf",
    "ablation_spec",
    "against",
    "ameasure",
    "arun",
    "bottlenecks_tables",
    "calibrate",
    "capacity",
    "certify",
    "compare",
    "default_spec",
    "execute",
    "is_phases_spec",
    "ledger_json",
    "ledger_tables",
    "list_tools",
    "load_spec",
    "make_cell",
    "measure",
    "open_capacity",
    "open_results",
    "phases_terminal",
    "plan",
    "replicate",
    "republish",
    "run",
    "run_change",
    "run_figure",
    "run_phases",
    "simulate",
    "simulate_levels",
    "tool_text",
    "tools_table",
    "trace_bottlenecks",
    "whatif",
    "whatif_experiment",
    "whatif_table",
]
