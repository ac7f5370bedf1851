"""The store's tables and statements, in the SQL that SQLite and PostgreSQL have in common."""

from swarmlab.tools.cache.entry import OVERHEAD_BYTES

TABLES = (
    """
CREATE TABLE IF NOT EXISTS swarmlab_cache_entries (
    layer TEXT NOT NULL, key TEXT NOT NULL, used {integer} NOT NULL, hits {integer} NOT NULL,
    tag TEXT NOT NULL, data TEXT NOT NULL, is_virtual {integer} NOT NULL, created_us {integer} NOT NULL,
    seconds {real} NOT NULL, tokens {integer} NOT NULL, seal {bytes} NOT NULL, value {bytes} NOT NULL,
    PRIMARY KEY (layer, key)
)""",
    """
CREATE TABLE IF NOT EXISTS swarmlab_cache_totals (
    id {integer} PRIMARY KEY, layout {integer} NOT NULL, tick {integer} NOT NULL, bytes {integer} NOT NULL,
    generation {integer} NOT NULL, evicted {integer} NOT NULL, evicted_bytes {integer} NOT NULL,
    quarantined {integer} NOT NULL, unwritten {integer} NOT NULL
)""",
    """
CREATE TABLE IF NOT EXISTS swarmlab_cache_leases (
    layer TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, until_us {integer} NOT NULL,
    PRIMARY KEY (layer, key)
)""",
    """
CREATE TABLE IF NOT EXISTS swarmlab_cache_quarantine (
    number {integer} PRIMARY KEY, layer TEXT NOT NULL, key TEXT NOT NULL, reason TEXT NOT NULL, value {bytes}
)""",
    """
INSERT INTO swarmlab_cache_totals VALUES (1, {layout}, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING""",
)
"""Each has places, in braces, for what depends on the database; so have some of the statements below."""
SET_LAYOUT = "UPDATE swarmlab_cache_totals SET layout = {layout} WHERE id = 1"
GET_LAYOUT = "SELECT layout FROM swarmlab_cache_totals WHERE id = 1"

_ENTRY = "layer = :layer AND key = :key"
_SIZE = f"{{size}} + {OVERHEAD_BYTES}"

FIND = f"""
SELECT value, tag, data, is_virtual, created_us, seconds, tokens, seal
FROM swarmlab_cache_entries WHERE {_ENTRY}"""
GET_SIZE = f"SELECT {_SIZE} FROM swarmlab_cache_entries WHERE {_ENTRY}"
ADD = """
INSERT INTO swarmlab_cache_entries
    (layer, key, used, hits, tag, data, is_virtual, created_us, seconds, tokens, seal, value)
VALUES (:layer, :key, (SELECT tick FROM swarmlab_cache_totals), 0,
    :tag, :data, :is_virtual, :created_us, :seconds, :tokens, :seal, :value)
ON CONFLICT (layer, key) DO UPDATE SET used = excluded.used, tag = excluded.tag, data = excluded.data,
    is_virtual = excluded.is_virtual, created_us = excluded.created_us, seconds = excluded.seconds,
    tokens = excluded.tokens, seal = excluded.seal, value = excluded.value"""
DROP = f"DELETE FROM swarmlab_cache_entries WHERE {_ENTRY}"
TOUCH = f"""
UPDATE swarmlab_cache_entries SET used = (SELECT tick FROM swarmlab_cache_totals), hits = hits + :hits
WHERE {_ENTRY}"""

# First in every transaction: in PostgreSQL the row's lock makes writers take turns, as SQLite does anyway.
TICK = "UPDATE swarmlab_cache_totals SET tick = tick + 1"
GROW = "UPDATE swarmlab_cache_totals SET bytes = bytes + :bytes"
COUNT_EVICTED = """
UPDATE swarmlab_cache_totals SET evicted = evicted + :n, evicted_bytes = evicted_bytes + :bytes"""
COUNT_QUARANTINED = "UPDATE swarmlab_cache_totals SET quarantined = quarantined + 1"
COUNT_UNWRITTEN = "UPDATE swarmlab_cache_totals SET unwritten = unwritten + :n"
NEW_GENERATION = "UPDATE swarmlab_cache_totals SET generation = generation + 1"
# The casts, for a damaged number may be read as anything.
_COUNTED = ("bytes", "generation", "evicted", "evicted_bytes", "quarantined", "unwritten")
GET_TOTALS = f"""
SELECT {", ".join(f"COALESCE(CAST({name} AS BIGINT), 0)" for name in _COUNTED)} FROM swarmlab_cache_totals"""
RECOUNT = f"""
UPDATE swarmlab_cache_totals
SET bytes = (SELECT COALESCE(SUM({_SIZE}), 0) FROM swarmlab_cache_entries)"""
BY_USE = f"SELECT layer, key, {_SIZE} FROM swarmlab_cache_entries ORDER BY used, created_us, layer, key"

CLAIM = """
INSERT INTO swarmlab_cache_leases (layer, key, owner, until_us) VALUES (:layer, :key, :owner, :until_us)
ON CONFLICT (layer, key) DO UPDATE SET owner = excluded.owner, until_us = excluded.until_us
WHERE swarmlab_cache_leases.until_us < :now_us OR swarmlab_cache_leases.owner = :gone"""
GET_HOLDER = f"SELECT owner FROM swarmlab_cache_leases WHERE {_ENTRY}"
RENEW = f"UPDATE swarmlab_cache_leases SET until_us = :until_us WHERE {_ENTRY} AND owner = :owner"
RELEASE = f"DELETE FROM swarmlab_cache_leases WHERE {_ENTRY} AND owner = :owner"

QUARANTINE = f"""
INSERT INTO swarmlab_cache_quarantine (number, layer, key, reason, value)
SELECT (SELECT tick FROM swarmlab_cache_totals), layer, key, :reason, value
FROM swarmlab_cache_entries WHERE {_ENTRY}"""
DROP_OLD_QUARANTINE = """
DELETE FROM swarmlab_cache_quarantine
WHERE number NOT IN (SELECT number FROM swarmlab_cache_quarantine ORDER BY number DESC LIMIT :kept)"""
LIST_QUARANTINE = "SELECT layer, key, reason FROM swarmlab_cache_quarantine ORDER BY number"
DROP_QUARANTINE = "DELETE FROM swarmlab_cache_quarantine"

LIST = f"""
SELECT layer, key, tag, data, is_virtual, created_us, seconds, tokens, hits, {_SIZE}
FROM swarmlab_cache_entries ORDER BY layer, created_us, key"""
BY_LAYER = f"""
SELECT layer, COUNT(*), SUM({_SIZE}), SUM(hits), SUM(seconds), SUM(tokens),
    MIN(CASE WHEN is_virtual = 0 THEN created_us END), MAX(CASE WHEN is_virtual = 0 THEN created_us END)
FROM swarmlab_cache_entries GROUP BY layer ORDER BY layer"""

CONDITIONS = {
    "layer": "layer = :layer",
    "tag": "tag = :tag",
    "data": "data = :data",
    # A simulated date says nothing about an entry's age.
    "before_us": "is_virtual = 0 AND created_us < :before_us",
}
"""By field of `Selection`: which entries it selects."""
SELECT_SIZES = f"SELECT COUNT(*), COALESCE(SUM({_SIZE}), 0) FROM swarmlab_cache_entries WHERE "
DROP_SELECTED = "DELETE FROM swarmlab_cache_entries WHERE "
