"""From a document to passages that fit an encoder. ``chunker`` names the choice that the settings offer."""

from ingest.chunk.choose import Chunker, chunker, chunker_version

__all__ = ["Chunker", "chunker", "chunker_version"]
