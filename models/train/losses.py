"""What training makes small. Tensors in, a number out; groups are rows, padded, with a mask of what is there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_ABSENT = -1e9


def listwise(logits: Tensor, right: Tensor, there: Tensor) -> Tensor:
    """Mean over groups of −log (Σ_right e^s / Σ e^s): a softmax over the group puts its mass on what is right.

    Cao et al., "Learning to rank: from pairwise approach to listwise approach", ICML 2007 (ListNet, top one), with the
    log outside of the sum, so that one right passage of several is enough.

    Args:
        logits: (groups, size).
        right: (groups, size) bool; at least one in each row.
        there: (groups, size) bool; False is padding.
    """
    scores = logits.masked_fill(~there, _ABSENT)
    return (torch.logsumexp(scores, 1) - torch.logsumexp(scores.masked_fill(~right, _ABSENT), 1)).mean()


def distillation(logits: Tensor, teacher: Tensor, there: Tensor, temperature: float) -> Tensor:
    """Mean over groups of KL(teacher ‖ student) between softmaxes over the group.

    Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015; over lists as in RocketQAv2 (Ren et
    al. 2021). The teacher's scores are standardised within the group first: their scale is not the student's.

    Args:
        logits, teacher: (groups, size).
        temperature: the teacher's standardised scores are divided by it; lower is surer of its first.
    """
    n = there.sum(1, keepdim=True)
    mean = (teacher * there).sum(1, keepdim=True) / n
    spread = (((teacher - mean) ** 2 * there).sum(1, keepdim=True) / n).sqrt().clamp(min=1e-6)
    aim = ((teacher - mean) / spread / temperature).masked_fill(~there, _ABSENT).softmax(1)
    said = logits.masked_fill(~there, _ABSENT).log_softmax(1)
    return F.kl_div(said, aim, reduction="batchmean")


def multiple_negatives(queries: Tensor, passages: Tensor, right: Tensor, hidden: Tensor, scale: float) -> Tensor:
    """Mean over queries of cross-entropy with the softmax over all passages of the batch, scores scale · cosine.

    Henderson et al., "Efficient natural language response suggestion for Smart Reply", 2017 (in-batch negatives); the
    hard negatives of every query are columns as well, for all queries.

    Args:
        queries: (n, dim), L2-normalised.
        passages: (m, dim), L2-normalised.
        right: (n,) the column of each query's positive.
        hidden: (n, m) bool; columns that are left out of a row (its other positives, the same text elsewhere).
        scale: 1 / temperature; 20 is what the base was trained with.
    """
    scores = scale * queries @ passages.T
    return F.cross_entropy(scores.masked_fill(hidden, _ABSENT), right)
