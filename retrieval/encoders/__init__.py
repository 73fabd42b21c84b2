"""Encoders: text to vectors, each behind ``core.protocols.Encoder``."""
