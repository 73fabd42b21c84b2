"""How fast is learnt when."""

from __future__ import annotations


def rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear from 0 to ``peak`` over the first ``warmup`` of all steps, then linear to 0; ``step`` from 1.

    As Devlin et al. 2019 trained BERT.
    """
    rising = max(1, round(warmup * steps))
    if step <= rising:
        return peak * step / rising
    return peak * max(0.0, (steps - step) / max(1, steps - rising))
