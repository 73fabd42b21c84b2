"""Finding passages: encoders, indexes, fusion, and the store that is the only truth."""
