"""People's names in a text, by a token-classification model of others, through transformers.

A model says for each piece of a word what it belongs to; pieces are put together to words, and words to names, with the
offsets of the text. Every scheme of labels that has a class "PER" or "PERSON" is read: PER, B-PER/I-PER, BIOES, BILOU.
A long text is read in windows that overlap; a piece that lies in two is judged where it has more text around it.
Code that a model's folder brings along is never run, and weights are read from safetensors alone.
It knows neither documents nor what becomes of a name.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from core.errors import ModelUnavailable

_LONGEST = 512  # word pieces of a window: more gives names no more context, and costs the square of it
_SHARED = 32  # word pieces that a window shares with the one before
_PIECE = 4000  # characters that are cut into word pieces at once
_BATCH = 8  # windows
_PERSON = re.compile(r"(?:[BIELSU][-_])?(?:PER|PERSON)", re.IGNORECASE)
# Between the words of one name: white space within a line, a hyphen, an apostrophe.
_WITHIN = re.compile(r"[^\S\n]*|[-'’‐‑]")
_INITIAL = re.compile(r"\.[^\S\n]?")
# Scripts without spaces between words: each character is judged by itself.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class _Token(NamedTuple):
    start: int
    end: int
    person: float  # probability that it belongs to a person's name
    margin: int  # word pieces to the nearer edge of its window


def person_labels(labels: Mapping[int, str]) -> list[int]:
    """Which outputs mean a person's name.

    Raises:
        ModelUnavailable: none does.
    """
    found = [i for i, label in labels.items() if _PERSON.fullmatch(label)]
    if not found:
        raise ModelUnavailable(
            f"a model with the labels {', '.join(labels.values())} does not tell people's names: choose a "
            "token-classification model with a label PER or PERSON (B-PER and I-PER will do)"
        )
    return found


class PersonNames:
    """Building it does nothing; the first use loads. Thread-safe: one batch of windows is computed at a time.

    Args:
        name: a folder or a hub name.
        device: as torch names it; "auto" is CUDA where there is one.
    """

    def __init__(self, name: str, *, device: str = "auto") -> None:
        self.name = name
        self._device = device
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def load(self) -> None:
        """Reads the model; later calls do nothing. Raises ModelUnavailable as ``find``."""
        with self._lock:
            if self._loaded is None:
                self._loaded = _Loaded(self.name, self._device)

    def find(self, text: str, tick: Callable[[], None] = lambda: None) -> list[tuple[int, int]]:
        """Code point spans of people's names, in order, apart from each other.

        Args:
            tick: called before each batch of windows; what it raises ends the search.

        Raises:
            ModelUnavailable: no such model, or one that does not tell names.
        """
        self.load()
        loaded = self._loaded
        if loaded is None:  # load() has raised
            raise ModelUnavailable(f"the names model {self.name!r} is not loaded")
        tokens: list[_Token] = []
        for start, end in pieces(text):
            windows = loaded.windows(text[start:end])
            for at in range(0, len(windows), _BATCH):
                tick()
                with self._lock:
                    found = loaded.judged(windows[at : at + _BATCH])
                tokens += [t._replace(start=t.start + start, end=t.end + start) for t in found]
        return names_of(text, tokens)


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """``text`` in parts of at most ``_PIECE`` characters, cut at a blank line, else a line, a sentence, a space."""
    start = 0
    while start < len(text):
        end = min(start + _PIECE, len(text))
        if end < len(text):
            for mark in ("\n\n", "\n", ". ", " "):
                at = text.rfind(mark, start + _PIECE // 2, end)
                if at > start:
                    end = at + len(mark)
                    break
        yield start, end
        start = end


def names_of(text: str, tokens: Sequence[_Token]) -> list[tuple[int, int]]:
    """The spans of names: words whose pieces say so, and words that follow one another, as one."""
    best: dict[int, _Token] = {}
    for token in tokens:
        if token.end > token.start and (token.start not in best or best[token.start].margin < token.margin):
            best[token.start] = token
    names: list[tuple[int, int]] = []
    for word in _words(text, [best[start] for start in sorted(best)]):
        likely = sum(t.person for t in word) / len(word)
        # Some models are taught the first piece of a word alone, and say anything of the others.
        if max(likely, word[0].person) < 0.5:
            continue
        start, end = word[0].start, word[-1].end
        if names and _goes_on(text, names[-1], start):
            names[-1] = (names[-1][0], end)
        else:
            names.append((start, end))
    return [trimmed for span in names if (trimmed := _trimmed(text, span)) is not None]


def _words(text: str, tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    word: list[_Token] = []
    for token in tokens:
        if word and not _same_word(text, word[-1].end, token.start):
            yield word
            word = []
        word.append(token)
    if word:
        yield word


def _same_word(text: str, end: int, start: int) -> bool:
    if end != start or start >= len(text):
        return False
    before, after = text[end - 1], text[start]
    return (before.isalnum() and after.isalnum()) and not (_UNSPACED.match(before) or _UNSPACED.match(after))


def _goes_on(text: str, name: tuple[int, int], start: int) -> bool:
    between = text[name[1] : start]
    if _WITHIN.fullmatch(between):
        return True
    last = re.search(r"\w+\Z", text[name[0] : name[1]])
    return last is not None and len(last.group()) <= 2 and _INITIAL.fullmatch(between) is not None


def _trimmed(text: str, span: tuple[int, int]) -> tuple[int, int] | None:
    """Without white space and signs around it; None if there is no letter in it."""
    start, end = span
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not (text[end - 1].isalnum() or _is_mark(text[end - 1])):
        end -= 1
    return (start, end) if any(c.isalpha() for c in text[start:end]) else None


def _is_mark(character: str) -> bool:
    """A vowel sign or an accent that ends a word (Hindi, Thai, decomposed letters)."""
    return unicodedata.category(character).startswith("M")


class _Loaded:
    def __init__(self, name: str, device: str) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer

        try:
            config: Any = AutoConfig.from_pretrained(name, trust_remote_code=False)
            architecture = (getattr(config, "architectures", None) or ["unknown model"])[0]
            if not architecture.endswith("ForTokenClassification"):
                raise ModelUnavailable(
                    f"{name!r} is a {architecture}, which does not tell people's names: set pii_names_model to a "
                    "token-classification model with a label PER or PERSON"
                )
            self._person = person_labels({int(i): str(label) for i, label in config.id2label.items()})
            self._model: Any = AutoModelForTokenClassification.from_pretrained(
                name, trust_remote_code=False, use_safetensors=True
            )
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError) as e:
            reason = str(e).splitlines()[0] if str(e) else type(e).__name__
            raise ModelUnavailable(
                f"cannot load the names model {name!r}: {reason}; set pii_names_model to a folder with config.json, "
                "model.safetensors and tokenizer.json, or to a hub name that can be reached"
            ) from e
        if not getattr(self._tokenizer, "is_fast", False):
            raise ModelUnavailable(
                f"the tokenizer of the names model {name!r} does not say where its pieces lie: it needs a tokenizer.json"
            )
        self._torch: Any = torch
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._model = self._model.to(self._device).eval()
        said = [getattr(config, "max_position_embeddings", 0), self._tokenizer.model_max_length, _LONGEST]
        self._longest = min(int(n) for n in said if isinstance(n, int | float) and n > 0)
        if getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert"):
            self._longest = min(self._longest, config.max_position_embeddings - 2)  # two positions are padding's

    def windows(self, text: str) -> list[Any]:
        """``text`` as windows of word pieces with their offsets; a window of one piece to spare for each edge."""
        encoded = self._tokenizer(
            text,
            truncation=True,
            max_length=self._longest,
            stride=min(_SHARED, self._longest // 4),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        return [
            {key: encoded[key][i] for key in ("input_ids", "offset_mapping", "special_tokens_mask")}
            for i in range(len(encoded["input_ids"]))
        ]

    def judged(self, windows: Sequence[Any]) -> list[_Token]:
        torch = self._torch
        padded = self._tokenizer.pad({"input_ids": [w["input_ids"] for w in windows]}, return_tensors="pt")
        inputs = {k: padded[k].to(self._device) for k in ("input_ids", "attention_mask")}
        with torch.no_grad():
            p = self._model(**inputs).logits.float().softmax(-1)[:, :, self._person].sum(-1).cpu().tolist()
        pad_left = getattr(self._tokenizer, "padding_side", "right") == "left"
        tokens = []
        for window, row in zip(windows, p, strict=True):
            n = len(window["input_ids"])
            of_window = row[len(row) - n :] if pad_left else row[:n]
            pairs = zip(window["offset_mapping"], window["special_tokens_mask"], of_window, strict=True)
            tokens += [
                _Token(start, end, likely, min(i, n - 1 - i))
                for i, ((start, end), special, likely) in enumerate(pairs)
                if not special
            ]
        return tokens
