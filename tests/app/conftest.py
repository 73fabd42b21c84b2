from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Client
from tests.support.servers import RunningServer, openbook_server
from tests.support.team import Team, team

# What each says as a judge: the large one prefers its own answers, and knows nothing of coins; the small one takes its time and
# prefers what stands first, and falls asleep over some questions: over one before it answers, over one before it judges.
JUDGES = {
    "small": [
        {"when": "Who dozes", "text": "", "delay_s": 120},
        {"when": "<question>Who sleeps", "text": "", "delay_s": 120},
        {"when": "You compare two answers", "text": '{"better": "1"}', "delay_s": 0.15},
    ],
    "large": [
        {"when": "<question>How many coins", "text": '{"better": "tie"}'},
        {"when": '<answer id="1">So says the large', "text": '{"better": "1"}'},
        {"when": '<answer id="2">So says the large', "text": 'Clearly {"better": 2}'},
    ],
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[RunningServer]:
    """One real server for the tests that do not need their own; each test makes its own collection."""
    folder, choices = tmp_path_factory.mktemp("models"), {}
    for name, judged in JUDGES.items():  # two language models that only evaluations may name
        replies = [*({**one, "times": 0} for one in judged), {"text": f"So says the {name} one [1].", "times": 0}]
        (folder / name).write_text(json.dumps({"replies": replies}))
        choices[name] = {"runtime": "scripted", "script": str(folder / name)}
    env = {"OPENBOOK_LM_CHOICES": json.dumps(choices)}
    with openbook_server(tmp_path_factory.mktemp("data"), env=env) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with server.client() as found:
        yield found


@pytest.fixture(scope="session")
def signed_in(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Team]:
    """One real server where people sign in, with its first administrator."""
    with team(tmp_path_factory.mktemp("team"), env={"OPENBOOK_RERANKER": "none", "OPENBOOK_VERIFIER": "rules"}) as made:
        yield made
