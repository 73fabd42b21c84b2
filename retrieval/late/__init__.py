"""Late interaction as a retriever: token vectors of passages, compressed, and the best of them by MaxSim."""
