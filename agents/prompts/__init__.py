"""Prompts are files beside this one, rendered strictly: a variable that is missing is an error.

``hash`` names exactly the text that was used, shared parts included, and goes into the trace. Nothing is escaped: what
keeps data from passing for instructions is ``agents.context``, which prepares it before it gets here.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound, meta

from core.errors import InvalidRequest


class Prompts:
    """The shipped prompts, or those of ``overrides`` (file name → template) where given."""

    def __init__(self, overrides: dict[str, str] | None = None) -> None:
        self._overrides = dict(overrides or {})
        self._environment = Environment(
            loader=_Loader(self), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )

    def source(self, name: str) -> str:
        """The template's text. Raises InvalidRequest if there is no such prompt."""
        if name in self._overrides:
            return self._overrides[name]
        folder = resources.files(__name__)
        file = folder / name
        if not name.endswith(".j2") or "/" in name or not file.is_file():
            known = ", ".join(sorted(f.name for f in folder.iterdir() if f.name.endswith(".j2")))
            raise InvalidRequest(f"there is no prompt {name!r}: there are {known}", code="unknown-prompt")
        return file.read_text("utf-8")

    def render(self, name: str, **variables: object) -> str:
        """The prompt with its variables. Raises jinja2.UndefinedError where one is missing."""
        return self._environment.get_template(name).render(**variables).strip()

    def hash(self, *names: str) -> str:
        """16 hex digits that change whenever one of the templates, or a part that it includes, does."""
        h = hashlib.sha256()
        waiting, seen = sorted(names), set[str]()
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            source = self.source(name)
            h.update(f"{name}\0{len(source)}\0{source}".encode())
            parts = meta.find_referenced_templates(self._environment.parse(source))
            waiting = sorted({*waiting, *(part for part in parts if part)})
        return h.hexdigest()[:16]


class _Loader(BaseLoader):
    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def get_source(self, environment: Environment, template: str) -> tuple[str, None, None]:
        try:
            return self._prompts.source(template), None, None
        except InvalidRequest as e:
            raise TemplateNotFound(template, e.message) from e
