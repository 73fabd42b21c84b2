"""Attacks on an answering system, and the files that carry them. See ``app.redteam``, which runs them."""
