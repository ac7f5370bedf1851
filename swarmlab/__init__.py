"""A performance laboratory for LLM agent swarms."""
