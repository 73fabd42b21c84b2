"""Benchmarks against peers: each one command, each printing a table."""
