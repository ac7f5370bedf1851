"""A content-addressed cache in tiers: sealed, bounded, computed once at a time; errors never stored."""

from swarmlab.tools.cache.cache import Cache
from swarmlab.tools.cache.entry import Cost, Fetched, Limits
from swarmlab.tools.cache.holdings import Listed, Removed, Selection, Stats
from swarmlab.tools.cache.key import content_key
from swarmlab.tools.cache.sql import shown_address
from swarmlab.tools.cache.store import Store, open_store

__all__ = [
    "Cache",
    "Cost",
    "Fetched",
    "Limits",
    "Listed",
    "Removed",
    "Selection",
    "Stats",
    "Store",
    "content_key",
    "open_store",
    "shown_address",
]
