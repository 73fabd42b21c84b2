"""Words of which one excludes the other in the same place: "closed" for "open", "twice" for "once", "second" for "first".

The encoder cannot tell them apart, because they stand in the same company; so they are listed. English and German.
"""

from __future__ import annotations

from typing import TypeAlias

from agents.lexical import stem
from core.text import fold

# Say which one is spoken of: what is said of the first is no word about the second.
_WHICH = """
first | second | third | fourth | fifth | sixth | seventh | eighth | ninth | tenth
erste ersten erster erstes | zweite zweiten zweiter zweites | dritte dritten dritter drittes | vierte vierten vierter viertes
"""
# Each line a set of alternatives, each alternative all that says the same.
_ALTERNATIVES = """
one | two | three | four | five | six | seven | eight | nine | ten
once | twice | thrice
einmal | zweimal | dreimal
doubled | tripled trebled | quadrupled | halved
half | third | quarter
hourly | daily | weekly | monthly | quarterly | yearly annually
täglich | wöchentlich | monatlich | jährlich
on | off
ein an | aus
open opened | closed shut
geöffnet offen | geschlossen zu
clockwise | counterclockwise anticlockwise
permitted allowed legal | prohibited forbidden banned illegal
erlaubt zulässig | verboten unzulässig
left | right
links | rechts
upper top | lower bottom
oben | unten
front | rear back
inside indoors internal | outside outdoors external
horizontal horizontally | vertical vertically
inlet input | outlet output
hot warm | cold
wet | dry
full | empty
tighten | loosen
insert attach | remove detach
enable enabled activate activated active | disable disabled deactivate deactivated inactive
connect connected | disconnect disconnected
locked lock | unlocked unlock
valid | invalid
mutable | immutable
synchronous | asynchronous
ascending | descending
buyer purchaser | seller vendor
lender creditor | borrower debtor
lessor landlord | lessee tenant
plaintiff | defendant
employer | employee
assets | liabilities
short | long
gross | net
basic | diluted
majority | minority
rose increased grew gained climbed | fell decreased declined dropped shrank
stieg stiegen gestiegen erhöht wuchs | sank sanken gesunken fiel fielen gefallen gesenkt verringert schrumpfte
mindestens | höchstens maximal
mehr höher größer | weniger niedriger kleiner
vor | nach
mit | ohne
"""
_Line: TypeAlias = tuple[frozenset[str], ...]


def _lines(listed: str) -> tuple[_Line, ...]:
    return tuple(
        tuple(frozenset(stem(fold(w)) for w in alternative.split()) for alternative in line.split("|"))
        for line in listed.strip().splitlines()
    )


_ORDINALS, _OTHERS = _lines(_WHICH), _lines(_ALTERNATIVES)


def exclude(one: str, other: str) -> bool:
    """Whether two folded words are different alternatives of the same; ordinals are not among them."""
    return _differ(one, other, _OTHERS)


def other_ordinal(one: str, other: str) -> bool:
    """Whether two folded words are different ordinals."""
    return _differ(one, other, _ORDINALS)


def _differ(one: str, other: str, lines: tuple[_Line, ...]) -> bool:
    a, b = stem(one), stem(other)
    return a != b and any(
        any(a in alternative for alternative in line)
        and any(b in alternative for alternative in line)
        and not any(a in alternative and b in alternative for alternative in line)
        for line in lines
    )
