"""Results: the record of a run, the store, and tables, plots and a report made only from what is on disk."""
