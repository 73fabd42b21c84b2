"""The HTTP API: one room per kind of thing, problem+json for every error."""
