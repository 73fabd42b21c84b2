"""Prompts are files beside this one, rendered strictly: a variable that is missing is an error.

A person's own may stand in for any of them (``check`` says whether it can); worked examples are files like the others.

``hash`` names exactly the text that was used, shared parts included, and goes into the trace. Nothing is escaped: what
keeps data from passing for instructions is ``agents.context``, which prepares it before it gets here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import resources

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    meta,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.errors import InvalidRequest

_KINDS = (".j2", ".json", ".txt")


def prompt_names() -> list[str]:
    """The files that can be replaced, sorted."""
    return sorted(f.name for f in resources.files(__name__).iterdir() if f.name.endswith(_KINDS))


class Prompts:
    """The shipped prompts, or those of ``overrides`` (file name → template) where given."""

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        self.overrides: Mapping[str, str] = dict(overrides or {})
        self._environment = ImmutableSandboxedEnvironment(
            loader=_Loader(self), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )

    def source(self, name: str) -> str:
        """The template's text. Raises InvalidRequest if there is no such prompt."""
        if name in self.overrides:
            return self.overrides[name]
        known = prompt_names()
        if name not in known:
            raise InvalidRequest(f"there is no prompt {name!r}: there are {', '.join(known)}", code="unknown-prompt")
        return resources.files(__name__).joinpath(name).read_text("utf-8")

    def render(self, name: str, **variables: object) -> str:
        """The prompt with its variables. Raises jinja2.UndefinedError where one is missing, and InvalidRequest where a
        person's own prompt fails."""
        try:
            return self._environment.get_template(name).render(**variables).strip()
        except TemplateError as e:
            if not self.overrides:
                raise
            raise InvalidRequest(f"prompt {name}, or a part of it, cannot be filled in: {e}", code="bad-prompt") from e

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
            waiting = sorted({*waiting, *self._parts(name, source)})
        return h.hexdigest()[:16]

    def variables(self, name: str) -> frozenset[str]:
        """What a template is given, its parts included. Raises as ``source``, and jinja2.TemplateSyntaxError."""
        if not name.endswith(".j2"):
            return frozenset()
        source = self.source(name)
        own = meta.find_undeclared_variables(self._environment.parse(source))
        return frozenset(own).union(*(self.variables(part) for part in self._parts(name, source) if part != name))

    def check(self) -> None:
        """Raises InvalidRequest, code "bad-prompt", for an override that no strategy could use, and says what it would need."""
        shipped = Prompts()
        for name, text in self.overrides.items():
            shipped.source(name)
            if name.endswith(".json"):
                _check_examples(name, text)
            try:
                has, wants = self.variables(name), shipped.variables(name)
            except (TemplateSyntaxError, RecursionError) as e:
                raise InvalidRequest(f"prompt {name} is no template: {e}", code="bad-prompt") from e
            if unknown := has - wants:
                raise InvalidRequest(
                    f"prompt {name} uses {_braced(unknown)}, which it is not given: it may use {_braced(wants) or 'nothing'}",
                    code="bad-prompt",
                )
            if missing := wants - has:
                raise InvalidRequest(
                    f"prompt {name} does not use {_braced(missing)}: add it, or write {{% if {min(missing)} %}}{{% endif %}} to "
                    "leave it out on purpose",
                    code="bad-prompt",
                )

    def _parts(self, name: str, source: str) -> list[str]:
        if not name.endswith(".j2"):
            return []
        return [part for part in meta.find_referenced_templates(self._environment.parse(source)) if part]


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{{ {name} }}}}" for name in sorted(names))


def _check_examples(name: str, text: str) -> None:
    keys = {"question", "reasoning", "answer"}
    try:
        found = json.loads(text)
        good = isinstance(found, list) and all(isinstance(e, dict) and set(e) == keys for e in found)
    except ValueError:
        good = False
    if not good:
        raise InvalidRequest(
            f'prompt {name} is no list of examples: it is JSON, [{{"question": …, "reasoning": …, "answer": …}}, …]',
            code="bad-prompt",
        )


class _Loader(BaseLoader):
    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def get_source(self, environment: Environment, template: str) -> tuple[str, None, None]:
        try:
            return self._prompts.source(template), None, None
        except InvalidRequest as e:
            raise TemplateNotFound(template, e.message) from e
