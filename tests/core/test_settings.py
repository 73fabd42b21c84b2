"""Settings: strict about keys and values, later sources win, and the guide names every one."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from core.errors import InvalidRequest
from core.settings import TABLES, Settings, as_environment, load_settings

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "settings.md"


def test_the_guide_names_every_setting():
    text = GUIDE.read_text("utf-8")
    assert [name for name in Settings.model_fields if f"`{name}`" not in text] == []


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path):
    file = tmp_path / "openbook.toml"
    file.write_text("k = 3\nport = 1\nrrf_k = 5\n")
    settings = load_settings(
        env={"OPENBOOK_K": "4", "OPENBOOK_PORT": "2"}, config_file=file, overrides={"port": 3, "host": None}
    )
    assert (settings.k, settings.port, settings.rrf_k, settings.host) == (4, 3, 5, "127.0.0.1")


@pytest.mark.parametrize(
    ("env", "named"), [({"OPENBOOK_RETREIVER": "bm25"}, "retreiver"), ({"OPENBOOK_RETRIEVER": "bm52"}, "bm25")]
)
def test_an_unknown_key_or_value_is_refused_by_name(env, named):
    with pytest.raises(InvalidRequest, match=named):
        load_settings(env=env)


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ('lm_choices.big = {runtime = "openai", api_key = "S3CRET", base_url = "http://h/v1"}', "needs model"),
        ('mcp_servers.x = {url = "http://h", command = ["c"], headers = {Authorization = "S3CRET"}}', "command"),
        ('mcp_servers.x = {command = "run --token S3CRET"}', "mcp_servers.x.command"),
        ('mcp_servers.x = {url = "http://h", headers = {model = ["S3CRET"]}}', "mcp_servers.x.headers.model"),
        ('mcp_servers = ["S3CRET"]', "mcp_servers"),
        ('otlp_headers = "Bearer S3CRET"', "otlp_headers"),
        ('otlp_endpoint = "grpc://me:S3CRET@collector:4317"', "…@collector:4317"),
        ('lm_api_key = ["S3CRET"]', "lm_api_key"),
    ],
)
def test_what_is_wrong_with_a_setting_is_told_without_the_secrets_beside_it(tmp_path, toml, named):
    file = tmp_path / "openbook.toml"
    file.write_text(toml + "\n")
    with pytest.raises(InvalidRequest, match=named) as caught:
        load_settings(env={}, config_file=file)
    assert "S3CRET" not in "".join(traceback.format_exception(caught.value))


def test_a_value_that_is_no_secret_is_repeated():
    with pytest.raises(InvalidRequest, match=r"'lm_choices\.big\.runtime' = 'opnai'"):
        load_settings(env={"OPENBOOK_LM_CHOICES": '{"big": {"runtime": "opnai"}}'})


@pytest.mark.parametrize(
    ("settings", "passages"),
    [
        ({}, 4),  # the packaged model reads slowly
        ({"k": 3}, 3),
        ({"lm_runtime": "openai"}, 8),
        ({"context_passages": 12}, 12),
    ],
)
def test_how_many_passages_a_model_reads_depends_on_where_it_runs(settings, passages):
    assert Settings(**settings).passages_to_read == passages


def test_secrets_and_addresses_do_not_change_the_digest_but_what_changes_answers_does():
    plain = Settings().digest()
    assert Settings(lm_api_key="secret", port=1, host="::1", data_dir=Path("/x")).digest() == plain
    assert Settings(k=9).digest() != plain


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name not in TABLES])
def test_what_a_variable_empties_is_empty_for_a_child_process_too(name):
    variable = f"OPENBOOK_{name.upper()}"
    try:
        emptied = load_settings(env={variable: ""})
    except InvalidRequest:
        return  # cannot be empty
    child = as_environment(emptied)
    assert variable in child and load_settings(env=child) == emptied


def test_a_child_process_that_reads_the_file_again_has_the_settings_of_its_parent(tmp_path):
    file = tmp_path / "openbook.toml"
    file.write_text(
        'otlp_endpoint = "http://collector.example:4318"\nallowed_hosts = ["books.example.org"]\nlm_api_key = "sk-old"\n'
        '[mcp_servers.files]\ncommand = ["mcp-files"]\n[otlp_headers]\nkey = "old"\n[lm_choices.large]\nruntime = "scripted"\nscript = "s.json"\n'
    )
    plain = load_settings(env={}, config_file=file)
    assert load_settings(env=as_environment(plain), config_file=file) == plain
    variables = dict.fromkeys(("OPENBOOK_OTLP_ENDPOINT", "OPENBOOK_ALLOWED_HOSTS", "OPENBOOK_LM_API_KEY"), "")
    variables |= {f"OPENBOOK_{name.upper()}": "{}" for name in TABLES}
    emptied = load_settings(env=variables, config_file=file)
    assert emptied == Settings()
    assert load_settings(env=as_environment(emptied), config_file=file) == emptied
