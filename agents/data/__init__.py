"""Fitted numbers that are shipped, each with the command that made it."""
