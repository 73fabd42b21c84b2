"""Vector indexes: exact, HNSW, and the choice between them."""
