"""Data sets, metrics, runs and comparisons. Receives what it measures; builds none of it."""
