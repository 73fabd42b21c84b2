"""From a file to chunks and vectors, and the ledger of the jobs that do it."""
