"""robots.txt: what a site asks programs not to fetch. RFC 9309: the group that names us, else that of "*"; of the rules that
fit a path the longest counts, and of two as long the one that allows. It knows text only, not where it came from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

AGENT = "openbook"
MAX_BYTES = 500 * 2**10  # what RFC 9309 asks to read at least; the rest is not read
_MAX_RULES = 10_000
_MAX_STARS = 20  # a pattern with more takes time and means nothing


@dataclass(frozen=True, slots=True)
class Rule:
    allow: bool
    pattern: str
    expression: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules for us. None at all allow everything."""

    rules: tuple[Rule, ...] = ()

    def forbids(self, path: str) -> str | None:
        """The rule that forbids ``path`` (with its query), as it stands in the file; None if it may be fetched."""
        path = _normal(path)
        fitting = [rule for rule in self.rules if rule.expression.match(path)]
        best = max(fitting, key=lambda rule: (len(rule.pattern), rule.allow), default=None)
        return None if best is None or best.allow or path == "/robots.txt" else f"Disallow: {best.pattern}"


def parse_robots(text: str) -> Robots:
    groups: dict[str, list[Rule]] = {}
    agents: list[str] = []
    in_rules, n = False, 0
    for line in text.lstrip("\ufeff").splitlines():
        field, colon, value = line.partition("#")[0].partition(":")
        field, value = field.strip().lower(), value.strip()
        if not colon:
            continue
        if field == "user-agent":
            if in_rules:
                agents, in_rules = [], False
            name = re.match(r"[a-z_-]+|\*", value.lower())
            agents.append(name.group() if name else value.lower())
            groups.setdefault(agents[-1], [])
        elif field in ("allow", "disallow"):
            in_rules = True
            n += 1
            # "Disallow:" with nothing forbids nothing.
            if value and n <= _MAX_RULES and value.count("*") <= _MAX_STARS:
                rule = Rule(field == "allow", value, _expression(_normal(value)))
                for agent in agents:
                    groups[agent].append(rule)
    return Robots(tuple(groups.get(AGENT, groups.get("*", ()))))


def _expression(pattern: str) -> re.Pattern[str]:
    end = pattern.endswith("$")
    body = re.sub(r"\*+", "*", pattern.removesuffix("$") if end else pattern)
    return re.compile(".*?".join(re.escape(part) for part in body.split("*")) + ("$" if end else ""), re.DOTALL)


def _normal(path: str) -> str:
    """One spelling of percent signs: %7E and ~ are the same, %2F and / are not."""
    kept = path.replace("%2F", "%252F").replace("%2f", "%252F")
    return quote(unquote(kept, errors="surrogateescape"), safe="/%?&=*$:@!',;()+~-._", errors="surrogateescape")
