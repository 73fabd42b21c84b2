"""How a question becomes a checked answer: strategies, prompts, citing, verifying."""
