"""A grid of configurations without repetitions."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from app.api.evals import Grid
from app.cli.main import app
from app.eval_configs import Configuration
from app.eval_grid import by_model, grid
from core.errors import InvalidRequest


def test_a_fusion_stands_with_hybrid_only_and_what_is_cut_anew_is_not_reranked() -> None:
    found = grid(["bm25", "hybrid"], ["convex", "rrf"], [False, True], [None, "fixed"])
    assert [c.label() for c in found] == [
        "bm25",
        "bm25, reranked",
        "hybrid convex",
        "hybrid convex, reranked",
        "hybrid rrf",
        "hybrid rrf, reranked",
        "bm25, fixed",
        "hybrid convex, fixed",
        "hybrid rrf, fixed",
    ]
    for configuration in found:
        configuration.check()


def test_strategies_make_a_grid_of_their_own() -> None:
    assert [c.strategy for c in grid(strategies=["extract", "rag", "extract"])] == ["extract", "rag"]
    with pytest.raises(InvalidRequest, match="grid of them alone"):
        grid(["bm25"], strategies=["extract"])


def test_an_empty_grid_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        grid([])


def test_a_grid_of_too_many_is_refused_before_any_is_made() -> None:
    began = time.process_time()
    names = [str(n) for n in range(1000)]
    with pytest.raises(InvalidRequest, match="1,000,000,000 combinations: a grid is of 4,096 at most"):
        grid(strategies=names, models=names, prompts=names)
    assert time.process_time() - began < 0.5
    assert len(grid([None] * 1000, chunkers=[None] * 1000, rerank=[False] * 1000)) == 1, (
        "repetitions are no combinations"
    )


def test_a_request_lists_sixteen_values_at_most() -> None:
    Grid(models=[str(n) for n in range(16)])
    for axis, value in (
        ("retrievers", None),
        ("rerank", False),
        ("strategies", "rag"),
        ("models", "m"),
        ("contexts", None),
    ):
        with pytest.raises(ValidationError, match="at most 16"):
            Grid.model_validate({axis: [value] * 17})


def test_models_and_prompts_go_with_strategies_and_one_that_asks_no_model_stands_once() -> None:
    found = grid(
        strategies=["extract", "rag"], models=["small", "large"], prompts=[None, "short"], without_lm={"extract"}
    )
    assert [c.label() for c in found] == [
        "answers by extract",
        "answers by rag, model small",
        "answers by rag, model small, prompts short",
        "answers by rag, model large",
        "answers by rag, model large, prompts short",
    ]
    for configuration in found:
        configuration.check()
    with pytest.raises(InvalidRequest, match="of answering"):
        grid(["bm25"], models=["small"])
    with pytest.raises(InvalidRequest, match="no language model is asked"):
        Configuration(retriever="bm25", prompts="short").check()


def test_those_of_one_model_stand_together_so_that_each_is_loaded_once() -> None:
    ways = [Configuration(strategy=s, model=m) for s, m in (("rag", "b"), ("rag", None), ("cot", "b"), ("cot", "a"))]
    assert [(c.strategy, c.model) for c in by_model(ways)] == [
        ("rag", "b"),
        ("cot", "b"),
        ("rag", None),
        ("cot", "a"),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--config", "strategy=rag:modell=large"], "strategy=NAME"),
        (["--config", "strategy=rag:model="], "strategy=NAME"),
        (["--grid", "models=large"], "model, prompts"),
    ],
)
def test_the_command_says_how_models_and_prompts_are_named_before_it_asks_any_server(
    options: list[str], said: str
) -> None:
    refused = CliRunner().invoke(app, ["eval", "run", "s1", *options], env={"COLUMNS": "300"})
    assert refused.exit_code == 2 and said in refused.output
