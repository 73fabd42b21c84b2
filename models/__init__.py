"""Packaged and shipped weights: where they lie, whether they are whole, and how they run on CPU and GPU."""
