"""Models that were trained for late interaction, in the layouts of ColBERT and of PyLate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelUnavailable
from core.types import Vectors
from retrieval.encoders.sentence_transformers import SentenceTransformersEncoder
from retrieval.late.reading import read_passages, read_query, token_dim
from tests.contract.encoder_suite import EncoderSuite
from tests.support.tiny_models import save_tiny_colbert, save_tiny_sentence_transformer


@pytest.fixture(scope="module", params=["colbert", "pylate"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_colbert(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> SentenceTransformersEncoder:
    return SentenceTransformersEncoder(str(folder), device="cpu", batch_size=4)


class TestMultiVectorEncoder(EncoderSuite):
    """Takes this file's ``encoder``."""


def by_hand(folder: Path, pieces: list[str], n_seen: int) -> Vectors:
    """Of each piece the transformer's state, projected and L2-normalised; the first ``n_seen`` are seen by the others."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel, BertTokenizerFast

    weights = load_file(folder / "model.safetensors")
    if (folder / "1_Dense").exists():
        weights |= load_file(folder / "1_Dense" / "model.safetensors")
    projection = weights.pop("linear.weight")
    model = BertModel(BertConfig.from_pretrained(folder)).eval()
    model.load_state_dict({name.removeprefix("bert."): value for name, value in weights.items()})
    ids = BertTokenizerFast.from_pretrained(folder).convert_tokens_to_ids(pieces)
    mask = [1] * n_seen + [0] * (len(ids) - n_seen)
    with torch.no_grad():
        states = model(torch.tensor([ids]), attention_mask=torch.tensor([mask])).last_hidden_state[0] @ projection.T
    found: Vectors = torch.nn.functional.normalize(states, dim=-1).numpy()
    return found


def test_a_question_has_its_marker_and_is_filled_up_to_its_length(
    folder: Path, encoder: SentenceTransformersEncoder
) -> None:
    pieces = ["[CLS]", "[unused0]", "hello", "world", ".", "[SEP]"]
    # Twelve in all; the transformer does not look at those that fill up.
    expected = by_hand(folder, pieces + ["[MASK]"] * 6, 6)
    np.testing.assert_allclose(read_query(encoder, "hello world."), expected, atol=1e-5)


def test_a_passage_has_its_marker_and_its_punctuation_is_not_scored(
    folder: Path, encoder: SentenceTransformersEncoder
) -> None:
    pieces = ["[CLS]", "[unused1]", "hello", ",", "world", ".", "[SEP]"]
    every = by_hand(folder, pieces, len(pieces))
    scored = [i for i, piece in enumerate(pieces) if piece not in (",", ".")]
    (found,) = read_passages(encoder, ["hello, world."])
    np.testing.assert_allclose(found, every[scored], atol=1e-5)
    # As word pieces of the text, each has its own, between two special ones.
    (tokens,) = encoder.encode_tokens(["hello, world."])
    np.testing.assert_allclose(tokens, every[[0, 2, 3, 4, 5, 6]], atol=1e-5)
    assert token_dim(encoder) == encoder.dim == 8


def test_one_vector_of_a_text_is_the_mean_of_those_that_it_is_scored_by(encoder: SentenceTransformersEncoder) -> None:
    late = encoder.encode_late(["hello world."], "query")
    assert late is not None
    mean = late[0].mean(axis=0)
    np.testing.assert_allclose(encoder.encode_queries(["hello world."])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_the_marker_takes_its_room(encoder: SentenceTransformersEncoder) -> None:
    assert encoder.max_tokens == 31
    assert len(encoder.encode_tokens(["word " * 100])[0]) == 31


def test_a_long_passage_is_read_to_its_end(encoder: SentenceTransformersEncoder) -> None:
    sentence = "word " * 20 + "hello. "
    (one,), (three,) = read_passages(encoder, [sentence]), read_passages(encoder, [sentence * 3])
    np.testing.assert_allclose(three, np.concatenate([one] * 3), atol=1e-5)


def test_the_revision_is_not_that_of_the_folder_without_its_projection(encoder: SentenceTransformersEncoder) -> None:
    assert encoder.revision.endswith("-32-fp32-late")


def test_bf16_gives_about_the_same(folder: Path, encoder: SentenceTransformersEncoder) -> None:
    low = SentenceTransformersEncoder(str(folder), device="cpu", precision="bf16")
    cosines = (low.encode_documents(["hello world"]) * encoder.encode_documents(["hello world"])).sum(axis=1)
    assert cosines.min() > 0.99
    assert low.revision != encoder.revision


def test_a_projection_that_is_not_safetensors_is_refused(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "pickled")
    part = moved / "1_Dense" if (moved / "1_Dense").exists() else moved
    (part / "model.safetensors").rename(part / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match=r"no model\.safetensors"):
        SentenceTransformersEncoder(str(moved), device="cpu").load()


def test_another_model_has_its_tokens_as_ever(tmp_path: Path) -> None:
    plain = SentenceTransformersEncoder(str(save_tiny_sentence_transformer(tmp_path / "plain")), device="cpu")
    assert plain.encode_late(["hello"], "query") is None
    np.testing.assert_array_equal(read_query(plain, "hello world"), plain.encode_tokens(["hello world"])[0][1:-1])


@pytest.mark.slow  # another process, that may go online
def test_a_model_that_is_here_already_is_not_looked_for_at_the_hub(tmp_path):
    model = tmp_path / "hub" / "models--some--model"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("c0ffee")
    for name in ("config.json", "modules.json", "config_sentence_transformers.json"):
        (model / "snapshots" / "c0ffee").mkdir(parents=True, exist_ok=True)
        (model / "snapshots" / "c0ffee" / name).write_text("[]" if name == "modules.json" else "{}")
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Hub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{hub.server_port}"
        environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_ENDPOINT": here}
        code = "from retrieval.encoders.multi_vector import is_multi_vector as m; print(m('some/model'))"
        told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        hub.shutdown()
    assert told.stdout.strip() == "False"
    assert not asked
