"""The kinds of file that are read: their MIME types, what a person calls them, and which names promise them.

It knows names only; what a file really is, ``sniff`` tells from its content.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "pdf", "docx", "xlsx", "pptx", "xls", "odt", "ods", "odp", "epub", "eml", "msg", "rtf",
    "html", "markdown", "rst", "csv", "json", "xml", "code", "text",
    "png", "jpeg", "tiff", "webp",
]  # fmt: skip

_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
MIME_TYPES: dict[Kind, str] = {
    "pdf": "application/pdf",
    "docx": _OOXML + "wordprocessingml.document",
    "xlsx": _OOXML + "spreadsheetml.sheet",
    "pptx": _OOXML + "presentationml.presentation",
    "xls": "application/vnd.ms-excel",
    "odt": _ODF + "text",
    "ods": _ODF + "spreadsheet",
    "odp": _ODF + "presentation",
    "epub": "application/epub+zip",
    "eml": "message/rfc822",
    "msg": "application/vnd.ms-outlook",
    "rtf": "application/rtf",
    "html": "text/html",
    "markdown": "text/markdown",
    "rst": "text/x-rst",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "application/xml",
    "code": "text/x-code",  # by extension: see CODE_TYPES
    "text": "text/plain",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
    "webp": "image/webp",
}
NAMES: dict[Kind, str] = {
    "pdf": "a PDF",
    "docx": "a Word document (.docx)",
    "xlsx": "an Excel workbook (.xlsx)",
    "pptx": "a PowerPoint presentation (.pptx)",
    "xls": "an old Excel workbook (.xls)",
    "odt": "an OpenDocument text (.odt)",
    "ods": "an OpenDocument spreadsheet (.ods)",
    "odp": "an OpenDocument presentation (.odp)",
    "epub": "an EPUB book",
    "eml": "an e-mail message",
    "msg": "an Outlook message (.msg)",
    "rtf": "a rich-text document (.rtf)",
    "html": "HTML",
    "markdown": "Markdown",
    "rst": "reStructuredText",
    "csv": "a table of values (.csv)",
    "json": "JSON",
    "xml": "XML",
    "code": "source code",
    "text": "plain text",
    "png": "a PNG image",
    "jpeg": "a JPEG image",
    "tiff": "a TIFF image",
    "webp": "a WebP image",
}
PICTURES: frozenset[Kind] = frozenset(["png", "jpeg", "tiff", "webp"])
DRAWN: frozenset[str] = frozenset(MIME_TYPES[k] for k in ("pdf", *PICTURES))  # MIME types with images of their pages
# Told by their names alone: any text may bear them, so content never contradicts the promise of one of these.
TEXTUAL: frozenset[Kind] = frozenset(["html", "markdown", "rst", "csv", "json", "xml", "code", "text"])
READS = (
    "PDF, Word (.docx), Excel (.xlsx, .xls), PowerPoint (.pptx), OpenDocument (.odt, .ods, .odp), EPUB, HTML, Markdown, "
    "e-mail (.eml, .msg), RTF, CSV, JSON, XML, reStructuredText, source code, plain text and images (PNG, JPEG, TIFF, WebP) are read"
)
SUPPORTED = (
    "PDF", "DOCX", "XLSX", "XLS", "PPTX", "ODT", "ODS", "ODP", "EPUB", "HTML", "Markdown", "EML", "MSG", "RTF",
    "CSV", "TSV", "JSON", "JSONL", "XML", "RST", "source code", "plain text",
    "PNG", "JPEG", "TIFF", "WebP",
)  # fmt: skip

CODE_TYPES: dict[str, str] = {
    ".py": "text/x-python", ".pyi": "text/x-python", ".js": "text/javascript", ".mjs": "text/javascript",
    ".cjs": "text/javascript", ".jsx": "text/javascript", ".ts": "text/x-typescript", ".tsx": "text/x-typescript",
    ".java": "text/x-java", ".kt": "text/x-kotlin", ".scala": "text/x-scala", ".c": "text/x-c", ".h": "text/x-c",
    ".cc": "text/x-c++", ".cpp": "text/x-c++", ".cxx": "text/x-c++", ".hpp": "text/x-c++", ".hh": "text/x-c++",
    ".cs": "text/x-csharp", ".go": "text/x-go", ".rs": "text/x-rust", ".rb": "text/x-ruby", ".php": "text/x-php",
    ".pl": "text/x-perl", ".swift": "text/x-swift", ".m": "text/x-objective-c", ".r": "text/x-r", ".jl": "text/x-julia",
    ".lua": "text/x-lua", ".sh": "text/x-sh", ".bash": "text/x-sh", ".zsh": "text/x-sh", ".ps1": "text/x-powershell",
    ".sql": "text/x-sql", ".css": "text/css", ".scss": "text/x-scss", ".yaml": "text/x-yaml", ".yml": "text/x-yaml",
    ".toml": "text/x-toml", ".ini": "text/x-ini", ".cfg": "text/x-ini", ".tex": "text/x-tex", ".proto": "text/x-proto",
    ".vue": "text/x-vue", ".hs": "text/x-haskell", ".ml": "text/x-ocaml", ".ex": "text/x-elixir", ".clj": "text/x-clojure",
    ".dart": "text/x-dart", ".groovy": "text/x-groovy", ".tf": "text/x-terraform", ".f90": "text/x-fortran",
}  # fmt: skip

EXTENSIONS: dict[str, Kind] = {
    ".pdf": "pdf", ".docx": "docx", ".docm": "docx", ".dotx": "docx", ".xlsx": "xlsx", ".xlsm": "xlsx", ".xltx": "xlsx",
    ".pptx": "pptx", ".pptm": "pptx", ".ppsx": "pptx", ".potx": "pptx", ".xls": "xls", ".odt": "odt", ".ott": "odt",
    ".ods": "ods", ".odp": "odp", ".epub": "epub", ".eml": "eml", ".msg": "msg", ".rtf": "rtf", ".html": "html",
    ".htm": "html", ".xhtml": "html", ".md": "markdown", ".markdown": "markdown", ".mdown": "markdown",
    ".mdx": "markdown", ".rst": "rst", ".rest": "rst", ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".json": "json",
    ".jsonl": "json", ".ndjson": "json", ".geojson": "json", ".xml": "xml", ".txt": "text", ".text": "text",
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".webp": "webp",
    **dict.fromkeys(CODE_TYPES, "code"),
}  # fmt: skip
# Extensions that promise something binary which is not read: text under such a name deserves a word.
BINARY_EXTENSIONS = frozenset([".doc", ".ppt", ".xlsb", ".gif", ".zip"])
