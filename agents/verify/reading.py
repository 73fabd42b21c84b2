"""What of the evidence is read by the encoder, and remembered for the next sentence of the same answer.

Reading is what takes time. A long text is read only where it shares words with the claim: its sentences that add most of
the claim's terms, with their neighbours, as far as the budget goes. A passage of an answer fits whole, so that the
sentences of that answer share one reading.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from agents.lexical import sentence_terms, terms
from agents.verify.alignment import Read, read
from core.late_interaction import place_tokens
from core.protocols import Encoder
from core.text import Span

MAX_CHARACTERS = 1000  # of evidence read, about 200 word pieces of English
_KEPT = 32  # readings remembered, of at most 0.5 MB each


class EvidenceReader:
    """Thread-safe; two threads that ask for the same text at once may both read it."""

    def __init__(self, encoder: Encoder, max_characters: int = MAX_CHARACTERS) -> None:
        self._encoder = encoder
        self._max_characters = max_characters
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Read] = OrderedDict()

    @property
    def encoder(self) -> Encoder:
        """What it reads with."""
        return self._encoder

    def read(self, claim: str, texts: Sequence[str], beside: Sequence[str] = ()) -> list[Read]:
        """Each text, or the part of it that speaks of the claim; nothing for one whose tokens cannot be placed.

        Args:
            beside: what else will be read of the claim, in the same pass if the encoder remembers.
        """
        share = max(self._max_characters // max(len(texts), 1), self._max_characters // 4)
        # A passage is read whole beside others, too: cut to the claim, it would be read anew for every sentence.
        whole = self._max_characters
        chosen = [t if len(t) <= whole else excerpt(claim, t, share) for t in texts]
        with self._lock:
            known = {t: self._known[t] for t in chosen if t in self._known}
        new = [t for t in dict.fromkeys(chosen) if t not in known]
        if new or beside:
            placed = place_tokens(new, self._encoder, beside)
            if placed is not None:
                known |= {t: read(t, p) for t, p in zip(new, placed, strict=True)}
        with self._lock:
            for text in chosen:
                if text in known:
                    self._known[text] = known[text]
                    self._known.move_to_end(text)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return [known[t] for t in chosen if t in known]


def excerpt(claim: str, text: str, max_characters: int) -> str:
    """``text``, or of a longer one the sentences that speak of the claim, in order and about so many characters."""
    if len(text) <= max_characters:
        return text
    spans = [span for span, _ in sentence_terms(text)]
    wanted = set(terms(claim))
    shared = [wanted & of_sentence for _, of_sentence in sentence_terms(text)]
    kept = _chosen(shared, spans, max_characters)
    return "\n".join(text[spans[i][0] : spans[i][1]][:max_characters] for i in sorted(kept))


def _chosen(shared: Sequence[set[str]], spans: Sequence[Span], max_characters: int) -> set[int]:
    """By what each adds to the terms found so far, then by what it shares, then neighbours of the best."""
    order: list[int] = []
    found: set[str] = set()
    rest = set(range(len(spans)))
    while rest:
        best = max(rest, key=lambda i: (len(shared[i] - found), -i))
        if not shared[best] - found:
            break
        order.append(best)
        found |= shared[best]
        rest.remove(best)
    beside = [j for i in order for j in (i - 1, i + 1) if j in rest]
    order += beside
    order += sorted(rest - set(beside), key=lambda i: (-len(shared[i]), i))
    kept: set[int] = set()
    size = 0
    for i in dict.fromkeys(order):
        length = min(spans[i][1] - spans[i][0], max_characters)
        if kept and size + length > max_characters:
            continue
        kept.add(i)
        size += length
    return kept
