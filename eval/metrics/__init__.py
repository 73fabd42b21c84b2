"""Formulas. A ranking metric sees relevance grades in rank order; it knows neither documents nor scores."""
