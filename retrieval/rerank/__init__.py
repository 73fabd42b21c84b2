"""Rerankers: the found passages in a better order, each behind ``core.protocols.Reranker``."""
