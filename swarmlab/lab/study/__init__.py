"""The source study in simulation: what reproduces its figures, and its phases at equal work."""
