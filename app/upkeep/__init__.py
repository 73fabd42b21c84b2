"""Looking after a data directory: a backup and the way back, finding what is wrong, mending it, purging, watching."""
