"""Puts a load on simulated machines, and says how much they bear."""
