"""What a request may ask for is within what the server allows."""

from __future__ import annotations

import pytest

from app.api.ask import RunLimits
from app.strategies import run_limits
from core.errors import InvalidRequest
from core.settings import Settings

PRICED = Settings(lm_prompt_price=0.15, lm_completion_price=0.6, max_cost=0.01)


def test_a_request_may_cost_less_than_the_server_allows_and_never_more() -> None:
    bounds = run_limits(PRICED, "react", 0)
    assert RunLimits(max_cost=0.002).within(bounds).max_cost == 0.002
    assert RunLimits(max_cost=5).within(bounds).max_cost == 0.01
    assert RunLimits().within(bounds) == bounds


def test_a_cost_without_a_price_is_refused_with_the_settings_that_it_needs() -> None:
    with pytest.raises(InvalidRequest, match="set lm_prompt_price"):
        RunLimits(max_cost=1).within(run_limits(Settings(), "react", 0))
