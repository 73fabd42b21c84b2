"""Groups as batches of word pieces. The order of batches follows from seed and epoch alone, so a run can be resumed.

Groups of like length lie together: batches are cut from a shuffled list that is sorted by length within stretches, so
that little is computed on padding and every batch still mixes fields.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import InvalidRequest
from models.tokenizer import PieceTokenizer
from models.train.pairs import Group, Passage

_STRETCH = 64  # batches that are sorted together
_SPECIAL = 3  # [CLS] query [SEP] passage [SEP]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pairs of several groups. ``row`` and ``column`` place a pair's logit in the (groups, size) table."""

    ids: Tensor  # (pairs, length)
    types: Tensor
    mask: Tensor  # bool
    row: Tensor  # (pairs,)
    column: Tensor
    right: Tensor  # (groups, size) bool
    there: Tensor  # (groups, size) bool
    teacher: Tensor  # (groups, size)

    def to(self, device: torch.device) -> Batch:
        return Batch(**{name: getattr(self, name).to(device, non_blocking=True) for name in self.__slots__})

    def table(self, logits: Tensor) -> Tensor:
        """(pairs,) → (groups, size)."""
        found = torch.zeros(self.right.shape, dtype=logits.dtype, device=logits.device)
        found[self.row, self.column] = logits
        return found


class Cutter:
    """Texts as word pieces, within a length. Passages are cut once; queries are short."""

    def __init__(self, tokenizer: PieceTokenizer, passages: Mapping[str, Passage], max_length: int) -> None:
        if max_length < _SPECIAL + 2:
            raise InvalidRequest(f"--max-length {max_length}: two texts need {_SPECIAL + 2} at least")
        self._tokenizer = tokenizer
        self._passages = passages
        self.max_length = max_length
        self.cls, self.sep, self.pad = (tokenizer.token_id(p) for p in ("[CLS]", "[SEP]", "[PAD]"))
        self._texts: dict[str, list[int]] = {}

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without special tokens, no more than could be of use."""
        new = [t for t in dict.fromkeys(texts) if t not in self._texts]
        if new:
            self._texts.update(zip(new, self._tokenizer.first_ids(new, self.max_length), strict=True))
        return [self._texts[t] for t in texts]

    def text(self, passage_id: str, *, with_title: bool, with_heading: bool) -> str:
        return self._passages[passage_id].read_as(with_title=with_title, with_heading=with_heading)

    def pair(self, query: list[int], passage: list[int]) -> tuple[list[int], int]:
        """(ids, how many are segment 0): [CLS] query [SEP] passage [SEP], the longer cut first."""
        room = self.max_length - _SPECIAL
        n = max(min(len(query), room // 2), min(len(query), room - len(passage)))
        m = min(len(passage), room - n)
        return [self.cls, *query[:n], self.sep, *passage[:m], self.sep], n + 2


def batches(
    groups: Sequence[Group],
    cutter: Cutter,
    *,
    pairs: int,
    title_dropout: float,
    late_weight: float,
    seed: int,
    epoch: int,
    start: int = 0,
) -> Iterator[Batch]:
    """The batches of one epoch from the ``start``-th on.

    Args:
        pairs: in a batch, at most.
        title_dropout: share of groups that are read without titles and headings, as a plain passage is.
        late_weight: of late interaction in the teacher; the rest is the fused score.
    """
    draw = random.Random(f"{seed}:{epoch}")
    order = list(range(len(groups)))
    draw.shuffle(order)
    bare = {i for i in order if draw.random() < title_dropout}
    sizes = [len(g.positives) + len(g.negatives) for g in groups]
    if sizes and max(sizes) > pairs:
        raise InvalidRequest(f"--batch-pairs {pairs}: the largest group has {max(sizes)} passages")
    stretch = _STRETCH * max(1, pairs // max(sizes, default=1))
    cut: list[list[int]] = []
    for at in range(0, len(order), stretch):
        some = order[at : at + stretch]
        lengths = {i: _length(groups[i], cutter, i in bare) for i in some}
        some.sort(key=lambda i: (lengths[i], i))
        cut += _filled(some, sizes, pairs)
    draw.shuffle(cut)
    for some in cut[start:]:
        yield make_batch([groups[i] for i in some], cutter, [i in bare for i in some], late_weight)


def make_batch(groups: Sequence[Group], cutter: Cutter, bare: Sequence[bool], late_weight: float) -> Batch:
    size = max(len(g.positives) + len(g.negatives) for g in groups)
    inputs: list[tuple[list[int], int]] = []
    place: list[tuple[int, int]] = []
    right, there = (torch.zeros(len(groups), size, dtype=torch.bool) for _ in range(2))
    teacher = torch.zeros(len(groups), size)
    for row, (group, plain) in enumerate(zip(groups, bare, strict=True)):
        members = (*group.positives, *group.negatives)
        (query,) = cutter.pieces([group.query])
        texts = [cutter.text(i, with_title=not plain, with_heading=group.with_heading and not plain) for i in members]
        inputs += [cutter.pair(query, passage) for passage in cutter.pieces(texts)]
        place += [(row, column) for column in range(len(members))]
        right[row, : len(group.positives)] = True
        there[row, : len(members)] = True
        if (found := teacher_scores(group, late_weight)) is not None:
            teacher[row, : len(members)] = torch.tensor(found)
    length = max(len(ids) for ids, _ in inputs)
    ids = torch.full((len(inputs), length), cutter.pad)
    types = torch.zeros(len(inputs), length, dtype=torch.long)
    mask = torch.zeros(len(inputs), length, dtype=torch.bool)
    for i, (found_ids, first) in enumerate(inputs):
        ids[i, : len(found_ids)] = torch.tensor(found_ids)
        types[i, first : len(found_ids)] = 1
        mask[i, : len(found_ids)] = True
    row_, column_ = torch.tensor(place).T
    return Batch(ids=ids, types=types, mask=mask, row=row_, column=column_, right=right, there=there, teacher=teacher)


def teacher_scores(group: Group, late_weight: float) -> list[float] | None:
    """Min-max normalised late interaction and fused score, mixed; a positive is never below the best of the others."""
    if not group.fused:
        return None
    late = group.late or group.fused
    mixed = [late_weight * a + (1 - late_weight) * b for a, b in zip(_minmax(late), _minmax(group.fused), strict=True)]
    best = max(mixed)
    return [best if i < len(group.positives) else score for i, score in enumerate(mixed)]


def _minmax(scores: Sequence[float]) -> list[float]:
    low, high = min(scores), max(scores)
    return [(s - low) / (high - low) if high > low else 0.0 for s in scores]


def _length(group: Group, cutter: Cutter, plain: bool) -> int:
    texts = [
        cutter.text(i, with_title=not plain, with_heading=group.with_heading and not plain)
        for i in (*group.positives, *group.negatives)
    ]
    return max(map(len, cutter.pieces(texts))) + len(cutter.pieces([group.query])[0])


def _filled(order: Sequence[int], sizes: Sequence[int], pairs: int) -> list[list[int]]:
    """Groups in this order, cut where the next would not fit any more."""
    found: list[list[int]] = []
    used = pairs
    for i in order:
        if used + sizes[i] > pairs:
            found.append([])
            used = 0
        found[-1].append(i)
        used += sizes[i]
    return found
