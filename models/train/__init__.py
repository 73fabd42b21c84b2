"""Training of the small models that ship, from the packaged encoder, on a CPU or a GPU. Needs torch; nothing else does."""
