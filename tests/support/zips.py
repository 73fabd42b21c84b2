"""Zip archives for tests: built from parts, or with parts of another changed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping


def zip_of(members: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed(data: bytes, **parts: bytes | None) -> bytes:
    """``data`` with parts replaced; keys are the ends of part names with "_" for ".", None removes the part."""
    members = unzipped(data)
    for key, value in parts.items():
        (name,) = [n for n in members if n.endswith(key.replace("_", "."))]
        if value is None:
            del members[name]
        else:
            members[name] = value
    return zip_of(members)
