"""Which language model fits a machine without a GPU (for one with: ``app.gpu_plans``), and which strategies are worth trying
with a model. Usual experience with open models, not measured here: docs/guide/agents.md has the same table."""

from __future__ import annotations

import re

from core.settings import Settings

# Memory in GiB → a GGUF file in 4 bits that fits beside all else. How fast it is depends on the processor: a token reads every weight.
LM_BY_MEMORY: tuple[tuple[int, str], ...] = ((30, "a 14B"), (14, "a 7B"), (7, "a 3B"), (4, "a 1B"))

# Billions of parameters from which on a strategy is worth trying.
_NEEDS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (1.0, ("rag",)),
    (3.0, ("full-context", "cot", "self-consistency", "multihop")),
    (7.0, ("react", "self-rag", "reflexion", "tot", "research (with tool calls)")),
)
_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([bm])(?![a-z0-9])", re.IGNORECASE)


def for_memory(gib: float) -> str:
    """What fits a machine without a GPU; empty where nothing beyond the packaged model does."""
    return next(
        (f"{text} model in 4 bits (a GGUF file as lm_model)" for least, text in LM_BY_MEMORY if gib >= least), ""
    )


def billions(model: str) -> float | None:
    """The parameters of a model by its name ("Qwen3-4B", "SmolLM2-135M"), in billions; None where it does not say."""
    sizes = [
        float(n) / (1000 if unit in "mM" else 1) for n, unit in _SIZE.findall(model.replace("-", " ").replace("_", " "))
    ]
    return max(sizes, default=None)


def strategies_for(settings: Settings) -> str:
    """One line: what to use with the language model of ``settings``."""
    if settings.lm_runtime == "none":
        return "no language model: extract, which quotes"
    if settings.packaged_lm:
        return "the packaged model (135M) is too small to be trusted with any but extract, which quotes"
    size = billions(settings.lm_model)
    if size is None:
        return f"{settings.lm_model!r} does not say its size: rag from 1B, cot and multihop from 3B, react and the others from 7B"
    fit = [name for least, names in _NEEDS if size >= least for name in names]
    more = [f"{', '.join(names)} from {least:g}B" for least, names in _NEEDS if size < least]
    worth = f"extract{', ' if fit else ''}{', '.join(fit)}"
    return f"with {size:g}B: {worth}" + (f"; larger models for {'; '.join(more)}" if more else "")
