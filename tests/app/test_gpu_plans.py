"""What is said to fit on a GPU fits by its own reckoning, and the guide says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gpu_plans import GIB, PLANS, SHARE, GpuPlan, LanguageModelPlan, Weights, plan_for

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "gpu.md"


def test_the_parts_are_added_up_as_the_module_says() -> None:
    weights = Weights(name="w", parameters=2 * GIB, bits=8)  # 2 GiB
    assert Weights(name="w", parameters=3 * GIB, bits=4, whole=GIB).gib == 1 + 2  # two at half a byte, one at two bytes
    # Keys and values: 2 × 16 layers × 8 heads × 128 × 2 bytes = 64 KiB a token, so 16,384 tokens are 1 GiB.
    lm = LanguageModelPlan(weights=weights, layers=16, kv_heads=8, head_size=128, max_tokens=1, held_tokens=16384)
    assert lm.gib == 2 + 1 + 1.5
    plan = GpuPlan(gb=20, least_gib=20.0, lm=lm, encoder=weights, reranker=weights)
    assert plan.beside_gib == 2 * (2 + 0.5 + 0.5) + (2 + 0.5)
    assert plan.vllm_share == 0.52  # .95 − 8.5 / 20 = .525


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.gb} GB")
def test_what_is_planned_fits_on_the_smallest_card_of_its_class(plan: GpuPlan) -> None:
    assert plan.gib <= SHARE * plan.least_gib
    assert plan.lm.gib <= plan.vllm_share * plan.least_gib, "in the share that vLLM is given"
    assert plan.lm.held_tokens >= plan.lm.max_tokens


def test_a_card_gets_the_largest_plan_that_it_holds() -> None:
    assert [plan.gb for plan in PLANS] == [8, 16, 24, 48, 80]
    assert [(found := plan_for(gib)) and found.gb for gib in (6.0, 8.0, 15.9, 22.5, 47.5, 79.6, 141.0)] == [
        None, 8, 16, 24, 48, 80, 80,
    ]  # fmt: skip


def test_the_guide_has_every_plan_as_it_is_reckoned() -> None:
    text = GUIDE.read_text("utf-8")
    for plan in PLANS:
        encoder = f"`{plan.encoder.name}`" if plan.encoder else "packaged, on the processor"
        reranker = f"`{plan.reranker.name}`" if plan.reranker else "late interaction, on the processor"
        row = (
            f"| {plan.gb} GB | `{plan.lm.weights.name}` | {plan.lm.max_tokens:,} / {plan.lm.held_tokens:,} | {encoder} | {reranker} "
            f"| {plan.lm.gib:.1f} + {plan.beside_gib:.1f} | {plan.vllm_share:.2f} |"
        )
        assert row in text, f"docs/guide/gpu.md should have\n{row}"
