"""Whether a model can read a text at all, or only spells it: decision 0262.

One that was never taught a script still says something of it, letter by letter, and that leads astray.
"""

from __future__ import annotations

from core.protocols import KnowsScripts, Tokenizer

# Between what the packaged vocabulary has of questions in languages with its script and in others: docs/decisions/0262.
SHARE_READ = 0.6


def reads(tokenizer: Tokenizer, text: str) -> bool:
    """False where a model's vocabulary has most of the letters of ``text`` singly or not at all.

    True for a tokenizer that cannot say. That a text can be read does not mean that its language was learnt.
    """
    return not isinstance(tokenizer, KnowsScripts) or tokenizer.share_read(text) >= SHARE_READ
