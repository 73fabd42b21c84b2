"""Strategies that turn a question into an answer whose every sentence can be checked."""
