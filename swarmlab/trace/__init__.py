"""Time and traces: the clock, spans, the tracer, and exact accounts of where a run's time went."""
