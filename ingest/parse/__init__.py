"""From bytes to text. ``parse_file`` reads one file; ``sandbox`` runs it where it can do no harm."""

from ingest.parse.document import Heading, Page, ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.file import parse_file

__all__ = ["Heading", "Page", "ParseLimits", "ParseWarning", "ParsedDocument", "parse_file"]
