"""Any sentence-transformers model: its own prompts, pooling and length. Tiny random models stand in for real ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidRequest, ModelUnavailable
from retrieval.encoders.sentence_transformers import SentenceTransformersEncoder
from tests.contract.encoder_suite import EncoderSuite
from tests.support.tiny_models import save_tiny_sentence_transformer


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sentence_transformer(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sentence_transformer(
        tmp_path_factory.mktemp("models") / "prompted", prompts={"query": "query: ", "document": "passage: "}
    )


@pytest.fixture(scope="module")
def encoder(plain: Path) -> SentenceTransformersEncoder:
    return SentenceTransformersEncoder(str(plain), device="cpu", batch_size=4)


class TestSentenceTransformersEncoder(EncoderSuite):
    """Takes this file's ``encoder``."""


def test_the_models_own_prompts_are_put_before_queries_and_documents(plain: Path, prompted: Path) -> None:
    # Both models have the same weights; one of them has prompts.
    with_prompts = SentenceTransformersEncoder(str(prompted), device="cpu")
    without = SentenceTransformersEncoder(str(plain), device="cpu")
    np.testing.assert_allclose(
        with_prompts.encode_queries(["hello"]), without.encode_queries(["query: hello"]), atol=1e-6
    )
    np.testing.assert_allclose(
        with_prompts.encode_documents(["hello"]), without.encode_documents(["passage: hello"]), atol=1e-6
    )
    np.testing.assert_allclose(with_prompts.encode_tokens(["hello"])[0], without.encode_tokens(["hello"])[0], atol=1e-6)


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_a_document_prompt_is_found_by_each_of_its_names_and_takes_its_room(tmp_path: Path, name: str) -> None:
    prompts = {"query": "", name: "passage short: "}
    encoder = SentenceTransformersEncoder(
        str(save_tiny_sentence_transformer(tmp_path / "own", prompts=prompts)), device="cpu"
    )
    plain = SentenceTransformersEncoder(str(save_tiny_sentence_transformer(tmp_path / "plain")), device="cpu")
    np.testing.assert_allclose(
        encoder.encode_documents(["hello"]), plain.encode_documents(["passage short: hello"]), atol=1e-6
    )
    np.testing.assert_allclose(encoder.encode_queries(["hello"]), plain.encode_queries(["hello"]), atol=1e-6)
    # "passage", "short" and ":" are read before each document: a longer one would lose its end unseen.
    assert encoder.max_tokens == plain.max_tokens - 3
    full = " ".join(["word"] * (encoder.max_tokens - 3) + ["hello"])  # and two special pieces
    other = " ".join(["word"] * (encoder.max_tokens - 3) + ["after"])
    assert not np.allclose(encoder.encode_documents([full]), encoder.encode_documents([other]), atol=1e-4)
    assert np.allclose(
        encoder.encode_documents([f"word {full}"]), encoder.encode_documents([f"word {other}"]), atol=1e-6
    )


def test_a_prompt_that_leaves_no_room_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_sentence_transformer(tmp_path / "crowded", prompts={"document": "word " * 30})
    with pytest.raises(ModelUnavailable, match="its own document prompt leaves 2"):
        SentenceTransformersEncoder(str(folder), device="cpu").load()


def test_the_models_own_pooling_is_used(plain: Path, tmp_path: Path) -> None:
    cls = SentenceTransformersEncoder(
        str(save_tiny_sentence_transformer(tmp_path / "cls", pooling="cls")), device="cpu"
    )
    mean = SentenceTransformersEncoder(str(plain), device="cpu")
    np.testing.assert_allclose(
        cls.encode_documents(["hello world"])[0], cls.encode_tokens(["hello world"])[0][0], atol=1e-5
    )
    assert not np.allclose(cls.encode_documents(["hello world"]), mean.encode_documents(["hello world"]), atol=1e-2)


def test_the_models_own_length_is_used(tmp_path: Path) -> None:
    folder = save_tiny_sentence_transformer(tmp_path / "short", max_tokens=8)
    encoder = SentenceTransformersEncoder(str(folder), device="cpu")
    assert encoder.max_tokens == 8
    assert len(encoder.encode_tokens(["word " * 50])[0]) == 8


def test_the_revision_follows_the_content_of_a_folder_not_its_place(
    plain: Path, prompted: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(plain, tmp_path / plain.name)
    here, there = (SentenceTransformersEncoder(str(p), device="cpu").revision for p in (plain, moved))
    assert here == there
    assert str(tmp_path) not in there
    assert SentenceTransformersEncoder(str(prompted), device="cpu").revision != here


def test_building_an_encoder_reads_nothing() -> None:
    SentenceTransformersEncoder("no/such-model")


def test_a_model_that_is_not_there_is_named_with_what_would_help(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"cannot load the encoder '.*nowhere'.*folder saved by"):
        SentenceTransformersEncoder(str(tmp_path / "nowhere"), device="cpu").load()
    with pytest.raises(ModelUnavailable, match=r"cannot load the encoder 'nobody/no-such-model'"):
        SentenceTransformersEncoder("nobody/no-such-model", device="cpu").load()


def test_pickled_weights_are_refused(plain: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(plain, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="safetensors"):
        SentenceTransformersEncoder(str(folder), device="cpu").load()


def test_a_device_that_is_not_there_is_refused_in_words(plain: Path) -> None:
    with pytest.raises(InvalidRequest, match="choose auto, cpu, cuda"):
        SentenceTransformersEncoder(str(plain), device="abacus").load()


def test_cuda_without_cuda_is_refused_in_words(plain: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ModelUnavailable, match="use 'auto' or 'cpu'"):
        SentenceTransformersEncoder(str(plain), device="cuda").load()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="choose auto, fp32 or bf16"):
        SentenceTransformersEncoder("any", precision="int8")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="batch_size=0"):
        SentenceTransformersEncoder("any", batch_size=0)


@pytest.mark.gpu
def test_cuda_computes_in_bf16_and_agrees_with_the_cpu() -> None:
    from models.packaged import MINILM, verify

    texts = [f"passage {i} about subject {i % 7}" for i in range(40)]
    fast = SentenceTransformersEncoder(str(verify(MINILM)), device="cuda")
    slow = SentenceTransformersEncoder(str(verify(MINILM)), device="cpu")
    assert fast.device.startswith("cuda")
    assert fast.revision.endswith("bf16")
    assert float((fast.encode_documents(texts) * slow.encode_documents(texts)).sum(axis=1).min()) >= 0.999
