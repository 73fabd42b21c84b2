"""Settings: OPENBOOK_* variables over openbook.toml over these defaults. An unknown key is an error.

A Settings object is passed to whoever needs it; there is no global one, and it builds nothing itself.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import InvalidRequest

ENV_PREFIX = "OPENBOOK_"
CONFIG_FILE = "openbook.toml"
# Variables with our prefix that one process of ours hands to another; they are no settings.
NOT_SETTINGS = frozenset(
    [
        "api_url",
        "api_key",
        "api_token",
        "worker_token",
        "worker_host",
        "page_token",
        "page_url",
        "parent_pid",
        "listen_fd",
        "replaces",
        "require_browser",
    ]
)


# Settings that are lists, which a variable has with commas between.
LISTS = frozenset({"allowed_hosts", "phone_regions", "url_allow"})


# Where something is and who may come in: no part of what an answer follows from.
_OF_THE_PLACE = {
    "data_dir",
    "host",
    "port",
    "ui_port",
    "allowed_hosts",
    "url_allow",
    "lm_api_key",
    "lm_base_url",
    "lm_choices",
    "mcp_servers",
    "identity",
    "session_days",
    "requests_per_minute",
    "max_body_bytes",
    "log_format",
    "otlp_endpoint",
    "otlp_headers",
    "otlp_content",
}


# Settings that are tables, which a variable has as JSON.
TABLES = frozenset({"mcp_servers", "otlp_headers", "lm_choices"})

# What an error may repeat of an entry of a table: of all else there (headers, variables, arguments) any may be a secret.
_TELLABLE = frozenset({"runtime", "model", "timeout_s", "context_tokens", "open_world"})
_SIGN_IN = re.compile(r"(?<=//)[^/\s]*@")  # of an address


class McpServer(BaseModel):
    """A server whose tools a run may use: a command that speaks over its standard input, or an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: tuple[str, ...] = ()
    url: str = Field("", pattern=r"^(https?://\S+)?$")
    env: dict[str, str] = {}  # of the command, beside PATH, HOME and the like
    headers: dict[str, str] = {}  # of the address
    tools: tuple[str, ...] = ()  # only these; none: all
    timeout_s: float = Field(30.0, gt=0)
    # Whether tools that say they only read, but reach into the world, may be called without a person's yes.
    open_world: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> McpServer:
        if bool(self.command) == bool(self.url):
            raise ValueError("give either command (a list) or url")
        return self


class LmChoice(BaseModel):
    """A language model that an evaluation may name in place of the settings' own; each field is the setting ``lm_…``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runtime: Literal["openvino", "openai", "transformers", "scripted"] = "openvino"
    model: str = "packaged"
    base_url: str = Field("", pattern=r"^(https?://\S+)?$")
    api_key: str = ""
    context_tokens: int = Field(0, ge=0)
    adapter: str = ""
    script: str = ""

    @model_validator(mode="after")
    def _named(self) -> LmChoice:
        # What a server runs when it is not told may be another model tomorrow, and results are kept by the name.
        if self.runtime in ("openai", "transformers") and self.model == "packaged":
            raise ValueError(f"runtime {self.runtime} needs model, by its name")
        if self.runtime == "openai" and not self.base_url:
            raise ValueError("runtime openai needs base_url, for example http://127.0.0.1:8001/v1")
        if self.runtime == "scripted" and not self.script:
            raise ValueError("runtime scripted needs script")
        return self


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # Where everything is kept: openbook.db, originals/, indexes/, cache/, server.json, lock.
    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    ui_port: int = Field(8501, ge=0, le=65535)
    allowed_hosts: tuple[str, ...] = ()  # further names that a browser may use for this server
    # "none": one person, who is whoever reaches the port, so that it listens on loopback alone. "password": people sign in.
    identity: Literal["none", "password"] = "none"
    session_days: int = Field(14, ge=1, le=365)  # until somebody who signed in has to again
    requests_per_minute: int = Field(1200, ge=0)  # of one person, where people sign in; 0: any number
    max_body_bytes: int = Field(32 * 2**20, ge=2**16)  # of a request that is no upload

    # Where spans of requests, searches and runs go, as OTLP/HTTP: http://127.0.0.1:4318. Empty: nowhere, and none are made.
    otlp_endpoint: str = Field("", pattern=r"^(https?://\S+)?$")
    otlp_headers: dict[str, str] = {}  # of what is sent there: a token, say
    otlp_content: bool = False  # whether questions, passages and answers are in the spans of runs
    log_format: Literal["text", "json"] = "text"

    profile: Literal["embedded", "gpu"] = "embedded"

    # Encoder. "openvino" runs the packaged MiniLM on the CPU; "sentence-transformers" runs any model by name.
    encoder_runtime: Literal["openvino", "sentence-transformers"] = "openvino"
    encoder_model: str = "packaged"
    encoder_precision: Literal["auto", "fp32", "bf16"] = "auto"
    encoder_threads: int = Field(0, ge=0)  # 0: as many as there are cores

    # Language model. "none" leaves extraction only.
    lm_runtime: Literal["openvino", "openai", "transformers", "scripted", "none"] = "openvino"
    lm_model: str = "packaged"  # a GGUF path, a model name of the server, or a hub name
    lm_base_url: str = ""  # runtime "openai": for example http://127.0.0.1:8001/v1
    lm_api_key: str = ""
    lm_context_tokens: int = Field(0, ge=0)  # 0: what the model says of itself
    lm_timeout_s: float = Field(120.0, gt=0)
    lm_queue: int = Field(16, ge=1)  # requests that may wait for the model
    lm_batch: int = Field(8, ge=1, le=64)  # answers that the runtime "transformers" writes at once
    # What a million tokens cost, read and said, in any one currency.
    lm_prompt_price: float = Field(0.0, ge=0)
    lm_completion_price: float = Field(0.0, ge=0)
    # How it decodes where a strategy does not say: top_p, top_k and min_p where it samples, beams where it does not.
    lm_top_p: float = Field(1.0, gt=0, le=1)
    lm_top_k: int = Field(0, ge=0)
    lm_min_p: float = Field(0.0, ge=0, lt=1)
    lm_repetition_penalty: float = Field(1.0, gt=0)
    lm_beams: int = Field(1, ge=1, le=16)
    # Runtime "transformers" only, from here on.
    lm_no_repeat_ngram: int = Field(0, ge=0)
    # How far answers of rag lean to what the passages add to what the model would say anyway.
    lm_context_contrast: float = Field(0.0, ge=0, le=10)
    lm_adapter: str = ""  # folder of a LoRA adapter
    lm_draft_model: str = ""  # proposes tokens that the model checks: faster, and the same tokens
    lm_amateur_model: str = ""  # what a smaller model would say as well is held against a token
    lm_script: str = ""  # runtime "scripted": path of the script
    # Other models that evaluations may name, and nobody else: people choose among these names, and never give a path.
    lm_choices: dict[Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,39}$")], LmChoice] = {}

    # Ingestion.
    chunker: Literal["fixed", "sentence", "semantic", "parent-child"] = "fixed"
    chunk_tokens: int = Field(200, ge=16, le=8192)
    chunk_overlap_tokens: int = Field(40, ge=0)  # of fixed and sentence; the others share nothing
    # Chunker "semantic" breaks where adjoining windows are less alike than this percentage of the document's.
    semantic_percentile: float = Field(20.0, gt=0, lt=100)
    # What stands before a chunk when it is embedded: nothing, its document's title, or title and headings.
    embed_context: Literal["none", "title", "headings"] = "none"
    # Where phone numbers without a country code are taken to be from, where a collection asks for them to be found.
    phone_regions: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ("US",)
    # What finds people's names there: a folder or a hub name of a token-classification model; "": names are not looked for.
    pii_names_model: str = ""
    max_upload_bytes: int = Field(100 * 2**20, ge=1)
    max_batch_files: int = Field(1000, ge=1)
    max_queued_jobs: int = Field(20_000, ge=1)
    ingest_workers: int = Field(2, ge=1, le=16)  # files at work at once; encoding shares the processors
    # Pages of the web. Hosts, addresses and networks of this machine or of private networks that may be fetched from.
    url_allow: tuple[str, ...] = ()
    url_timeout_s: float = Field(60.0, gt=0)  # of one page, redirects and all
    max_sitemap_pages: int = Field(1000, ge=1)
    max_pages: int = Field(2000, ge=1)
    max_characters: int = Field(20_000_000, ge=1)
    parse_timeout_s: float = Field(120.0, gt=0)
    parse_memory_bytes: int = Field(416 * 2**20, ge=64 * 2**20)  # with its libraries the child stays under 512 MiB
    # Pages that are images. The languages are tesseract's, "eng+deu"; none: what is installed, English first, 4 at most.
    ocr: Literal["auto", "off"] = "auto"
    ocr_languages: str = Field("", pattern=r"^[A-Za-z_]*([+,][A-Za-z_]+)*$")
    ocr_max_pages: int = Field(200, ge=0)  # of one file
    ocr_page_s: float = Field(120.0, gt=0)

    # Retrieval.
    retriever: Literal["bm25", "tfidf", "dense", "late", "hybrid"] = "hybrid"
    # The engine of BM25. "rank-bm25" and "reference" keep everything in memory, for up to about 10,000 passages.
    sparse: Literal["tantivy", "rank-bm25", "reference"] = "tantivy"
    # None: the engine's own, 1.2 (rank-bm25: 1.5) and 0.75. Tantivy's cannot be changed.
    bm25_k1: float | None = Field(None, ge=0)
    bm25_b: float | None = Field(None, ge=0, le=1)
    # How often a word of the title, or of a heading, counts against one of the text.
    title_boost: int = Field(1, ge=0, le=10)
    headings_boost: int = Field(1, ge=0, le=10)
    dense: Literal["auto", "exact", "hnsw"] = "auto"
    dense_hnsw_from: int = Field(50_000, ge=1)  # "auto" builds HNSW from this many vectors
    fusion: Literal["convex", "rrf"] = "convex"
    fusion_alpha: float = Field(0.5, ge=0, le=1)  # weight of dense in the convex combination
    rrf_k: int = Field(60, ge=1)
    fusion_depth: int = Field(200, ge=1)  # rows of each list; 1000 is RRF's published depth
    k: int = Field(8, ge=1, le=1000)
    # What puts the found passages in a better order; "mix" is late interaction and a cross-encoder together.
    reranker: Literal["none", "late", "cross-encoder", "mix"] = "late"
    # The cross-encoder: "shipped", a folder, or (runtime "sentence-transformers") a hub name.
    reranker_model: str = "shipped"
    reranker_runtime: Literal["openvino", "sentence-transformers"] = "openvino"
    # Both chosen for late interaction on SciFact train: python -m bench.fit_rerank
    rerank_depth: int = Field(100, ge=1, le=1000)  # how many of the found passages are reranked
    # Of the reranker against the order before; 1 is the reranker alone. None: what a trained model says of itself, else 0.5.
    rerank_weight: float | None = Field(None, ge=0, le=1)
    # Word pieces of candidates without token vectors that a search stops to read, unless it asks for reranking itself.
    rerank_unread_tokens: int = Field(1500, ge=0)
    token_vectors: bool = True  # whether new collections keep them: 64 bytes for each word piece
    # Leaves out passages that a better one has said, of a near-duplicate of its document.
    collapse_duplicates: bool = False
    # Hits of one document, at most; 0: as many as are found.
    max_per_document: int = Field(0, ge=0, le=1000)
    # Maximal marginal relevance: the weight of fitting the query against being unlike what stands above. 1: off.
    mmr_lambda: float = Field(1.0, ge=0, le=1)
    # How the sentence that answers best is found in each passage; "tokens" reads all of them once more.
    highlight: Literal["off", "words", "tokens"] = "words"
    # Passages that answers to earlier searches may hold in memory; 0 keeps none.
    query_cache_passages: int = Field(4000, ge=0)

    # What becomes of a question before it is searched. The last two cost the language model's time; see docs/guide/tuning.md.
    # "auto": the language model of a strategy that writes rewrites follow-ups, else a rule does.
    query_rewrite: Literal["auto", "off", "rule", "lm"] = "auto"
    hyde: bool = False  # search near passages that the language model imagines as answers
    hyde_passages: int = Field(8, ge=1, le=32)
    decompose: bool = False  # search for the parts of a question as well

    # Answers.
    strategy: str = "extract"
    # What becomes of a written sentence that its passages do not support: marked, mended from them, or left out.
    answer_policy: Literal["mark", "repair", "strict"] = "mark"
    extract_threshold: float | None = None  # None: the fitted one that is shipped
    max_question_characters: int = Field(4000, ge=1)
    max_steps: int = Field(7, ge=1)
    # Passages that the language model reads. 0: k, but 4 at most with runtime "openvino", where reading is what takes time.
    context_passages: int = Field(0, ge=0, le=100)
    max_answer_tokens: int = Field(512, ge=1)
    # Of strategies that think before they answer: turns, tokens said in all, and calls of tools.
    max_loop_steps: int = Field(32, ge=1)
    max_loop_tokens: int = Field(8192, ge=1)
    max_thought_tokens: int = Field(16_384, ge=0)  # of a model that thinks before it answers, beside what it may say
    max_tool_calls: int = Field(32, ge=0)
    max_cost: float = Field(0.0, ge=0)  # of one run, in the currency of the prices; 0: no bound
    samples: int = Field(10, ge=1, le=64)  # of strategy "self-consistency"
    # Answers of strategies "rag" and "cot" that the verifier chooses from; the first is the greedy one. 1: no choice.
    best_of: int = Field(1, ge=1, le=16)
    cot_examples: bool = False  # strategy "cot": after worked examples, not "let's think step by step"
    max_seconds: float = Field(120.0, gt=0)

    # Servers of tools (MCP) for strategies that call tools; a call with outside effect waits so long for a person's yes.
    mcp_servers: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,19}$")], McpServer] = {}
    approval_s: float = Field(300.0, gt=0, le=3600)

    # What checks each sentence against what it cites. The rules (numbers, dates, names, quotations, negation) always look
    # first; "rules" leaves it at them, "trained" is the small one that is shipped, "model" is verifier_model, "cascade" is
    # the small one and, where that is in doubt, verifier_model. "judge" is the language model of these settings.
    verifier: Literal["trained", "rules", "model", "cascade", "judge"] = "trained"
    # A folder or a hub name: any NLI, MiniCheck-, HHEM- or LettuceDetect-style model; "judge" is the language model.
    verifier_model: str = ""
    # From which probability of verifier_model a sentence is supported.
    verifier_threshold: float = Field(0.5, gt=0, lt=1)

    @property
    def packaged_lm(self) -> bool:
        """Whether the language model is the small one that is packaged, which is right only now and then."""
        return self.lm_runtime == "openvino" and self.lm_model == "packaged"

    @property
    def passages_to_read(self) -> int:
        """How many passages a language model is given at most."""
        if self.context_passages:
            return self.context_passages
        return min(self.k, 4) if self.lm_runtime == "openvino" else self.k

    def recorded(self) -> dict[str, Any]:
        """What differs from the defaults and can change an answer, as JSON, without paths, addresses and secrets."""
        kept: dict[str, Any] = self.model_dump(
            mode="json", exclude_defaults=True, exclude={*_OF_THE_PLACE, "lm_script"}
        )
        return kept

    def digest(self) -> str:
        """A short hash of everything that can change an answer; addresses and secrets are left out."""
        kept = self.model_dump_json(exclude=_OF_THE_PLACE)
        return hashlib.sha256(kept.encode()).hexdigest()[:16]


def load_settings(
    *,
    env: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Reads the settings; later ones win: defaults, openbook.toml, OPENBOOK_* variables, ``overrides``.

    Args:
        env: the environment; by default the process's own.
        config_file: by default ``openbook.toml`` in the current folder, if there is one.
        overrides: command-line values; None values are ignored.

    Raises:
        InvalidRequest: an unknown key or a value that does not fit, named with the valid ones.
    """
    env = os.environ if env is None else env
    values: dict[str, Any] = {}
    path = config_file or Path(CONFIG_FILE)
    if config_file is not None or path.exists():
        try:
            values.update(tomllib.loads(path.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError) as e:
            raise InvalidRequest(f"cannot read {path}: {e}", code="bad-settings") from e
    for key, value in env.items():
        if key.startswith(ENV_PREFIX):
            name = key.removeprefix(ENV_PREFIX).lower()
            if name in NOT_SETTINGS or name.startswith("test_"):
                continue
            if name in TABLES:
                values[name] = _table(key, value)
                continue
            values[name] = [v.strip() for v in value.split(",") if v.strip()] if name in LISTS else value
    values.update({k: v for k, v in (overrides or {}).items() if v is not None})
    try:
        return Settings(**values)
    except ValidationError as e:
        # Not "from e", which has what was given, with its secrets.
        raise InvalidRequest(_explain(e), code="bad-settings") from None


def _table(key: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as e:
        raise InvalidRequest(f"{key} is no JSON object: {e}", code="bad-settings") from e


def as_environment(settings: Settings) -> dict[str, str]:
    """The same settings as OPENBOOK_* variables, for a child process, which reads ``openbook.toml`` again: what was emptied is said
    to be empty. Only what is None is left out, since no variable says that, nor could it have been said in the file."""
    env = {}
    for name, value in settings.model_dump(mode="json").items():
        if isinstance(value, list):
            value = ",".join(value)
        if isinstance(value, dict):
            value = json.dumps(value)
        if value is not None:
            env[ENV_PREFIX + name.upper()] = str(value)
    return env


def _explain(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, Settings.model_fields, n=3, cutoff=0.6)
            known = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(Settings.model_fields)}"
            parts.append(f"unknown setting {key!r} ({ENV_PREFIX}{key.upper()}): {known}")
        else:
            parts.append(f"setting {key!r}{_given(problem['loc'], problem['input'])}: {problem['msg']}")
    return "; ".join(parts)


def _given(place: tuple[int | str, ...], value: Any) -> str:
    """What stands there, where that can be no secret: it goes to terminals and logs."""
    if place[0] in TABLES and not (len(place) == 3 and place[-1] in _TELLABLE):
        return ""
    if place[0] == "lm_api_key" or isinstance(value, dict):
        return ""
    return f" = {_SIGN_IN.sub('…@', repr(value))}"
