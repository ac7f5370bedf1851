"""Fits a profile to measured runs, and tests it on works that it has not seen."""
