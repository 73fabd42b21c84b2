"""What doctor says of models and strategies."""

from __future__ import annotations

import pytest

from app.advice import billions, for_memory, strategies_for
from app.doctor import examine
from core.settings import Settings


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Qwen/Qwen3-4B", 4.0),
        ("SmolLM2-135M-Instruct", 0.135),
        ("meta-llama/Llama-3.2-1B-Instruct", 1.0),
        ("models/qwen2.5-0.5b-instruct-q4_0.gguf", 0.5),
        ("Qwen3-30B-A3B", 30.0),
        ("llama3", None),
        ("gpt-4b1t", None),
    ],
)
def test_a_models_size_is_read_from_its_name(name: str, size: float | None) -> None:
    assert billions(name) == size


def test_a_larger_model_gets_more_strategies() -> None:
    def said(model: str) -> str:
        return strategies_for(Settings(lm_runtime="openai", lm_base_url="http://127.0.0.1:1/v1", lm_model=model))

    assert said("any-500M").startswith("with 0.5B: extract; larger models for rag from 1B")
    assert said("any-3B").startswith("with 3B: extract, rag, full-context, cot")
    assert "larger" not in said("any-8B") and "react" in said("any-8B")
    assert "does not say its size" in said("any")
    assert "135M" in strategies_for(Settings())


def test_more_memory_fits_a_larger_model() -> None:
    assert [for_memory(gib)[:4] for gib in (3, 8, 16, 64)] == ["", "a 3B", "a 7B", "a 14"]


def test_doctor_recommends_strategies() -> None:
    found = {finding.topic: finding.text for finding in examine(Settings())}
    assert "extract" in found["Strategies"]
