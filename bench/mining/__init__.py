"""Groups of a query, passages that answer it and hard ones that do not, for the training commands in ``models.train``."""
