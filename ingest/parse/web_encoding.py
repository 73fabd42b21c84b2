"""What pages and mail call their encodings, as browsers understand it: often not what the standard of that name holds.

Source: WHATWG Encoding, the table of labels; WHATWG HTML, "prescan a byte stream to determine its encoding".
"""

from __future__ import annotations

import codecs
import re

MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # that count for more than what anybody says
_HEAD_BYTES = 4096
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_CODECS = {
    label: codec
    for codec, labels in {
        "utf-8": "utf8 unicode-1-1-utf-8 x-unicode20utf8",
        "windows-1252": "ascii us-ascii iso-8859-1 iso8859-1 iso88591 iso_8859-1 latin1 latin-1 l1 cp819 x-cp1252",
        "windows-1250": "x-cp1250",
        "windows-1251": "x-cp1251",
        "windows-1254": "iso-8859-9 iso8859-9 iso88599 iso_8859-9 latin5 l5 x-cp1254",
        "windows-1257": "x-cp1257",
        "cp874": "windows-874 dos-874 iso-8859-11 iso8859-11 tis-620",
        "iso-8859-8": "iso-8859-8-i iso-8859-8-e logical visual csiso88598i csiso88598e",
        "mac-roman": "macintosh mac x-mac-roman csmacintosh",
        "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
        "koi8-r": "koi koi8 koi8_r cskoi8r",
        "koi8-u": "koi8-ru",
        "cp932": "shift_jis shift-jis sjis x-sjis ms932 ms_kanji windows-31j csshiftjis",
        "euc-jp": "x-euc-jp cseucpkdfmtjapanese",
        "gb18030": "gb2312 gb_2312 gb_2312-80 gbk x-gbk chinese csgb2312 csiso58gb231280 iso-ir-58",
        "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5 csbig5",
        "cp949": "euc-kr euckr korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 cseuckr windows-949 iso-ir-149",
    }.items()
    for label in labels.split()
}
# Codecs of Python that are no encodings of texts on the web.
_NEVER = frozenset(["utf_7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "undefined"])


def codec_of(label: str) -> str | None:
    """Python's name for the encoding that a page or its server calls ``label``; None if nothing is called that."""
    name = label.strip(" \t\r\n\"'").lower()
    name = _CODECS.get(name, name)
    try:
        found = codecs.lookup(name).name
        "".encode(found)  # refused by codecs that make no text
    except (LookupError, ValueError):
        return None
    return None if found.replace("-", "_") in _NEVER else name


def declared(data: bytes) -> str | None:
    """What a page says of itself in a ``<meta>``, as of ``codec_of``; None if it says nothing, or has a mark that counts for more."""
    match = None if data.startswith(MARKS) else _CHARSET.search(data[:_HEAD_BYTES])
    codec = codec_of(match.group(1).decode("ascii", "replace")) if match else None
    # Whoever claims UTF-16 in ASCII letters is not.
    return None if codec is not None and codec.replace("_", "-").startswith(("utf-16", "utf-32")) else codec
