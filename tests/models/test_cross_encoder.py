"""Cross-encoders: what transformers computes, from whole folders and from those that hold trained tensors alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from core.errors import InvalidRequest, ModelUnavailable
from models.cross_encoder import OpenVinoCrossEncoder, longest_first, read_cross_encoder
from models.openvino_bert import LOGITS, build_cross_encoder
from models.openvino_run import CompiledBert
from models.packaged import MINILM, verify
from tests.support.tiny_models import save_tiny_cross_encoder

QUERY = "hello query"
PASSAGES = ["hello world", "a passage after the word " * 20, "", "before: short, else 12!", "query"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_cross_encoder(tmp_path_factory.mktemp("models") / "tiny")


def test_logits_are_those_of_transformers(tiny: Path) -> None:
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(tiny).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    largest = 0.0
    for query in (QUERY, "word " * 40):  # the second is itself longer than half of the window
        inputs = tokenizer([query] * len(PASSAGES), PASSAGES, padding=True, truncation=True, return_tensors="pt")
        assert inputs["input_ids"].shape[1] == 32
        with torch.no_grad():
            expected = model(**inputs).logits[:, 0].numpy()
        found = OpenVinoCrossEncoder(tiny, precision="fp32", threads=1).logits(query, PASSAGES)
        largest = max(largest, float(np.abs(found - expected).max()))
        assert float(np.std(expected)) > 0.1  # not all alike, or the comparison would say nothing
    assert largest < 1e-4, f"largest difference {largest:.2e}"


def test_pooling_over_the_mean_is_what_numpy_computes(tiny: Path) -> None:
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(tiny).eval()
    weights, config = load_file(tiny / "model.safetensors"), json.loads((tiny / "config.json").read_text())
    compiled = CompiledBert(
        build_cross_encoder(weights, config, "mean"), precision="fp32", threads=1, pad=0, longest=64
    )
    ids, types = [[2, 6, 7, 3, 8, 3], [2, 6, 3, 9, 9, 9, 9, 3]], [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]]
    found = np.zeros(2, np.float32)
    for rows, out in compiled.run(ids, LOGITS, 64, types):
        found[rows] = out[:, 0]
    for i in range(2):
        with torch.no_grad():
            states = model.bert(torch.tensor([ids[i]]), token_type_ids=torch.tensor([types[i]])).last_hidden_state
        expected = weights["classifier.weight"] @ states[0].numpy().mean(axis=0) + weights["classifier.bias"]
        assert found[i] == pytest.approx(float(expected[0]), abs=1e-4)


@pytest.mark.parametrize("longest", [20, 32, 64])
def test_rows_are_filled_alike_and_never_beyond_what_the_model_reads(tiny: Path, longest: int) -> None:
    weights, config = dict(load_file(tiny / "model.safetensors")), json.loads((tiny / "config.json").read_text())
    places = "bert.embeddings.position_embeddings.weight"
    weights[places] = weights[places][:longest]  # an id in a place beyond would be an error, or another number
    graph = build_cross_encoder(weights, config, "mean")
    compiled = CompiledBert(graph, precision="fp32", threads=2, pad=0, longest=longest)
    ids = [[2, *[6 + i % 5] * n, 3] for i, n in enumerate((1, 3, 9, 14, 15, 17, 18, longest - 2))]
    types = [[0] * len(one) for one in ids]

    def logits(some: list[list[int]], segments: list[list[int]]) -> list[float]:
        found = np.zeros(len(some), np.float32)
        for rows, out in compiled.run(some, LOGITS, 64, segments):
            found[rows] = out[:, 0]
        return [float(x) for x in found]

    together, alone = logits(ids, types), [logits([a], [b])[0] for a, b in zip(ids, types, strict=True)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len({round(x, 4) for x in alone}) > 4  # or it would say nothing


def test_segments_matter(tiny: Path) -> None:
    model = OpenVinoCrossEncoder(tiny, precision="fp32", threads=1)
    assert model.logits("hello", ["world"])[0] != pytest.approx(model.logits("world", ["hello"])[0], abs=1e-3)


def test_company_does_not_change_a_logit(tiny: Path) -> None:
    model = OpenVinoCrossEncoder(tiny, precision="fp32", threads=2)
    alone = [model.logits(QUERY, [p])[0] for p in PASSAGES]
    np.testing.assert_allclose(model.logits(QUERY, PASSAGES), alone, atol=1e-5)
    assert model.logits(QUERY, []).shape == (0,)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 40))
def test_the_longer_text_is_cut_first(n_a: int, n_b: int, room: int) -> None:
    a, b = longest_first(n_a, n_b, room)
    assert (a <= n_a) and (b <= n_b)
    assert a + b == min(n_a + n_b, room)
    # Piece by piece from the longer one, as the name says.
    x, y = n_a, n_b
    while x + y > room:
        x, y = (x - 1, y) if x > y else (x, y - 1)
    assert abs(a - x) <= 1


# ---------------------------------------------------------------- folders of this repository


def save_overlay(folder: Path, tensors: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A "trained" reranker over the packaged encoder: a classifier and one changed tensor in fp16."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    trained = {
        "bert.encoder.layer.5.output.LayerNorm.bias": rng.standard_normal(384).astype(np.float16),
        "classifier.weight": rng.standard_normal((1, 384)).astype(np.float16),
        "classifier.bias": np.zeros(1, np.float16),
    }
    save_file(trained if tensors is None else tensors, folder / "model.safetensors")
    config = json.loads((verify(MINILM, only=("config.json",)) / "config.json").read_text())
    base = {"name": MINILM.name, "sha256": MINILM.files[MINILM.main_file]}
    config |= {"base": base, "pooling": "mean", "max_length": 256, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_trained_tensors_lie_over_the_packaged_ones(tmp_path: Path) -> None:
    files = read_cross_encoder(save_overlay(tmp_path / "reranker"))
    packaged = load_file(verify(MINILM) / "model.safetensors")
    trained = load_file(tmp_path / "reranker" / "model.safetensors")
    np.testing.assert_array_equal(
        files.weights["bert.encoder.layer.5.output.LayerNorm.bias"],
        trained["bert.encoder.layer.5.output.LayerNorm.bias"].astype(np.float32),
    )
    name = "encoder.layer.0.attention.self.query.weight"
    np.testing.assert_array_equal(files.weights["bert." + name], packaged[name])
    assert (files.pooling, files.max_tokens) == ("mean", 256)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_such_a_folder_runs_with_nothing_else_in_it(tmp_path: Path, pooling: str) -> None:
    folder = save_overlay(tmp_path / "reranker", pooling=pooling)
    model = OpenVinoCrossEncoder(folder, precision="fp32", threads=2)
    logits = model.logits("what do cats do", ["cats purr at night", "the company sold phones"])
    assert np.isfinite(logits).all()
    assert logits[0] != pytest.approx(logits[1], abs=1e-3)
    assert model.revision.endswith(f"-{pooling}-fp32")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": {"name": MINILM.name, "sha256": "0" * 64}}, "builds on .*'0000.*train it anew"),
        ({"base": "somewhere"}, "builds on 'somewhere'"),
        ({"pooling": "max"}, "pooling 'max': this graph knows 'cls' and 'mean'"),
        ({"max_length": 4}, "no room for two texts"),
        ({"model_type": "roberta"}, "model_type='roberta'"),
        ({"id2label": {"0": "a", "1": "b"}}, "2 labels: a reranker has one"),
        ({"tensors": {"classifier.bias": np.zeros(1, np.float32)}}, "no tensor 'classifier.weight'"),
        (
            {
                "tensors": {
                    "classifier.weight": np.zeros((2, 384), np.float32),
                    "classifier.bias": np.zeros(2, np.float32),
                }
            },
            r"the classifier is \(2, 384\)",
        ),
        ({"tensors": {"encoder.layer.0.x": np.zeros(1, np.float32)}}, "a tensor 'encoder.layer.0.x' that"),
        (
            {"tensors": {"bert.embeddings.LayerNorm.bias": np.zeros(3, np.float32)}},
            r"'bert.embeddings.LayerNorm.bias' is \(3,\), and all-MiniLM-L6-v2 has \(384,\)",
        ),
    ],
    ids=[
        "other base",
        "no base",
        "pooling",
        "short",
        "architecture",
        "labels",
        "no head",
        "wide head",
        "name",
        "shape",
    ],
)
def test_a_folder_that_does_not_fit_says_why(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = save_overlay(tmp_path / "reranker", **changes)
    with pytest.raises(ModelUnavailable, match=message):
        OpenVinoCrossEncoder(folder, precision="fp32", threads=1).load()


def test_damaged_and_missing_files_say_what_a_model_is(tmp_path: Path, tiny: Path) -> None:
    folder = save_overlay(tmp_path / "reranker")
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ModelUnavailable, match=r"cannot read .*model\.safetensors.*a cross-encoder is a folder with"):
        read_cross_encoder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelUnavailable, match="is not JSON"):
        read_cross_encoder(folder)
    whole = save_tiny_cross_encoder(tmp_path / "whole")
    (whole / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"has no tokenizer\.json"):
        read_cross_encoder(whole)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="unknown cross-encoder precision 'int3'"):
        OpenVinoCrossEncoder(Path("x"), precision="int3")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="threads=-1"):
        OpenVinoCrossEncoder(Path("x"), threads=-1)
