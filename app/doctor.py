"""What this machine has, what each profile needs of it, and what is missing. Looks; changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psutil

from app.advice import for_memory, strategies_for
from app.datadir import find_server, is_locked
from app.gpu_plans import plan_for
from app.wiring import ProbedLM, build_lm, build_names
from core.errors import ModelUnavailable, OpenbookError
from core.settings import Settings
from ingest.parse.ocr import chosen_languages, debian_packages, has_orientation, installed_languages, missing_ocr
from lm.abilities import Abilities
from models.packaged import MINILM, SMOLLM2, verify

State = Literal["ok", "note", "missing"]
GIB = 2**30
# 13 kB of token vectors for a passage of 200 word pieces, and 5 kB of all else: docs/guide/reranking.md
_PER_PASSAGES = "100,000 passages take about 1.8 GB, 1.3 of them token vectors for reranking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    topic: str
    state: State
    text: str


def examine(settings: Settings, *, load: bool = True, abilities: Abilities | None = None) -> list[Finding]:
    """Looks at this machine, and at the model server if settings name one.

    Args:
        load: whether a model that people's names are found by is loaded, to see that it can be, and a model server asked what it
            can do; both take seconds.
        abilities: what is known of the model server, where it is not asked.
    """
    return [
        _python(),
        _cpu(),
        _memory(),
        _disk(settings.data_dir),
        *_gpu(),
        *_model_server(settings, load, abilities),
        Finding(topic="Strategies", state="ok", text=strategies_for(settings)),
        *(_weights(model.name, model) for model in (MINILM, SMOLLM2)),
        _ocr(settings),
        _names(settings, load),
        *_packages(),
        _server(settings.data_dir),
    ]


def _python() -> Finding:
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding(
        topic="Python",
        state="ok" if ok else "missing",
        text=f"{platform.python_version()} (3.11 to 3.13 are supported)",
    )


def _cpu() -> Finding:
    flags = _cpu_flags()
    bf16 = (
        "bf16 in hardware: the encoder uses it"
        if flags & {"avx512_bf16", "amx_bf16"}
        else "no bf16: the encoder runs in fp32"
    )
    wide = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2: slow"
    return Finding(
        topic="CPU", state="ok" if "avx2" in flags else "note", text=f"{os.cpu_count()} cores, {wide}, {bf16}"
    )


def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(found.partition(":")[2].split())


def _memory() -> Finding:
    total = psutil.virtual_memory().total / GIB
    return Finding(
        topic="Memory",
        state="ok" if total >= 4 else "note",
        text=f"{total:.0f} GiB (the embedded profile idles under 1.5 GiB; about 2 GiB more per million passages)",
    )


def _disk(data_dir: Path) -> Finding:
    place = data_dir.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / GIB
    return Finding(
        topic="Disk", state="ok" if free >= 2 else "note", text=f"{free:.0f} GiB free for {data_dir} ({_PER_PASSAGES})"
    )


def _gpu() -> list[Finding]:
    command = shutil.which("nvidia-smi")
    if command is None:
        fits = for_memory(psutil.virtual_memory().total / GIB)
        here = f"; in process it fits {fits}, slowly" if fits else ""
        text = (
            f"no NVIDIA GPU: profile embedded (answers by quoting) or any OpenAI-compatible server by lm_base_url{here}"
        )
        return [Finding(topic="GPU", state="note", text=text)]
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode != 0 or not done.stdout.strip():
        return [
            Finding(topic="GPU", state="note", text=f"nvidia-smi failed: {(done.stderr or done.stdout).strip()[:120]}")
        ]
    findings = []
    for line in done.stdout.strip().splitlines():
        name, _, mib = line.rpartition(",")
        gib = int(mib) / 1024
        plan = plan_for(gib)
        fits = plan.text() if plan is not None else "a model of 1B"
        findings.append(
            Finding(
                topic="GPU",
                state="ok",
                text=f"{name.strip()}, {gib:.0f} GiB: fits {fits} (docs/guide/gpu.md); start with --profile gpu",
            )
        )
    return findings


def _model_server(settings: Settings, load: bool, abilities: Abilities | None) -> list[Finding]:
    """What the server of ``lm_base_url`` can do."""
    if settings.lm_runtime != "openai":
        return []
    lm = build_lm(settings) if load else None
    if not isinstance(lm, ProbedLM):
        known = "not looked for yet" if abilities is None else abilities.told()
        return [Finding(topic="Model server", state="ok", text=known)]
    try:
        lm.load()
        lm.probe()
    except OpenbookError as e:
        return [Finding(topic="Model server", state="missing", text=e.message)]
    text = f"{lm.name}, {lm.context_tokens:,} tokens of context; {lm.abilities.told()}"
    return [Finding(topic="Model server", state="ok", text=text)]


def _weights(name: str, model: object) -> Finding:
    try:
        verify(model)  # type: ignore[arg-type]
    except ModelUnavailable as e:
        return Finding(topic="Weights", state="missing", text=e.message)
    return Finding(topic="Weights", state="ok", text=f"{name}: present, SHA-256 verified")


def _ocr(settings: Settings) -> Finding:
    """Whether pages that are images can be read, in which languages, and how to get more."""
    if settings.ocr == "off":
        return Finding(topic="OCR", state="note", text="off (OPENBOOK_OCR): scanned pages are named, not read")
    missing = missing_ocr(settings.ocr_languages)
    if missing:
        return Finding(topic="OCR", state="note", text=f"{missing}; until then scanned pages are named, not read")
    chosen, others = chosen_languages(settings.ocr_languages), installed_languages()
    text = f"tesseract reads scanned pages and pictures in {', '.join(chosen)}"
    others = [name for name in others if name not in chosen]
    if others:
        text += f"; installed, too: {', '.join(others)}"
    absent = debian_packages(settings.ocr_languages)
    if absent:
        text += f"; of those asked for, data is missing: apt install {absent}"
    elif not others:
        text += " (for German apt install tesseract-ocr-deu, and so on; choose with OPENBOOK_OCR_LANGUAGES=eng+deu)"
    if not has_orientation():
        text += "; pages on their side need apt install tesseract-ocr-osd"
    return Finding(topic="OCR", state="ok", text=text)


def _names(settings: Settings, load: bool) -> Finding:
    """Whether people's names can be found where personal data are flagged or redacted."""
    names = build_names(settings)
    if names is None:
        text = "not looked for in personal data: set OPENBOOK_PII_NAMES_MODEL to a token-classification model"
        return Finding(topic="Names", state="note", text=text)
    if not load:
        return Finding(topic="Names", state="ok", text=f"looked for by {settings.pii_names_model}, in the worker")
    try:
        names.load()
    except ModelUnavailable as e:
        return Finding(topic="Names", state="missing", text=e.message)
    return Finding(topic="Names", state="ok", text=f"{settings.pii_names_model} finds people's names")


def _packages() -> list[Finding]:
    findings = []
    for name, purpose in (("openvino", "CPU inference"), ("torch", "GPU inference"), ("faiss-cpu", "dense search")):
        try:
            findings.append(Finding(topic="Package", state="ok", text=f"{name} {version(name)} ({purpose})"))
        except PackageNotFoundError:
            state: State = "note" if name == "torch" else "missing"
            remedy = "models by name need it; the packaged ones do not" if name == "torch" else "run `make up` again"
            findings.append(Finding(topic="Package", state=state, text=f"no {name} ({purpose}): {remedy}"))
    return findings


def _server(data_dir: Path) -> Finding:
    running = find_server(data_dir)
    if running is not None:
        return Finding(topic="Server", state="ok", text=f"running at {running.url}")
    if is_locked(data_dir):
        return Finding(topic="Server", state="note", text=f"another process is using {data_dir}")
    return Finding(topic="Server", state="note", text="not running: start it with `openbook serve`")
