"""The analyses: pure functions from a sales frame to typed facts, their catalogue, and the ground truth.

By hand: `swarmlab.tools.market_share(frame)`. For a run: `run_tool`.
"""

from swarmlab.tools.catalogue import TOOLS, Tool
from swarmlab.tools.facts import NOT_AVAILABLE, Fact
from swarmlab.tools.market_overview import market_overview
from swarmlab.tools.market_share import market_share
from swarmlab.tools.run import SharedFrame, ToolAnswer, run_tool
from swarmlab.tools.scope import Scope, check_scope

__all__ = [
    "NOT_AVAILABLE",
    "TOOLS",
    "Fact",
    "Scope",
    "SharedFrame",
    "Tool",
    "ToolAnswer",
    "check_scope",
    "market_overview",
    "market_share",
    "run_tool",
]
