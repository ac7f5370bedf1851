"""Results: the record of a run, the store, and the tables, plots and report made only from what is on disk."""
