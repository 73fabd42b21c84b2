"""The shared vocabulary. Imports nothing else of this project."""
