"""Term indexes: BM25 and TF-IDF over one shared analysis of text."""
