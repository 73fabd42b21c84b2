"""Whether a model calls the right tools with the right arguments, on data in the Berkeley Function-Calling Leaderboard's shape."""
