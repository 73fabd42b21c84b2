"""The packaged encoder keeps the contract; precision and settings are honoured or refused in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest, ModelUnavailable
from models.openvino_run import batches, resolve_precision
from retrieval.encoders.openvino import OpenVinoEncoder
from tests.contract.encoder_suite import EncoderSuite

WITH_BF16 = ["FP32", "BF16", "INT8"]
WITHOUT = ["FP32", "INT8"]


# bf16 keeps 8 bits: rows of norm 1 in 384 dimensions then differ in the third digit, a cosine of 0.9999 all the same.
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-3}


class TestOpenVinoEncoder(EncoderSuite):
    """Takes the session's ``encoder``."""

    @pytest.fixture
    def tolerance(self, encoder: OpenVinoEncoder) -> float:
        return TOLERANCE[encoder.revision.rsplit("-", 1)[-1]]


def test_building_an_encoder_touches_nothing(tmp_path: Path) -> None:
    OpenVinoEncoder(cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_dimension_and_length_are_those_of_the_model(encoder: OpenVinoEncoder) -> None:
    assert (encoder.dim, encoder.max_tokens) == (384, 256)


def test_the_revision_names_weights_pooling_and_precision(encoder: OpenVinoEncoder) -> None:
    assert encoder.revision.startswith("all-MiniLM-L6-v2-53aa51172d14-")
    assert "-mean-" in encoder.revision
    assert encoder.revision.endswith(("fp32", "bf16"))


def test_auto_is_bf16_where_the_cpu_has_it_and_fp32_elsewhere() -> None:
    assert resolve_precision("auto", WITH_BF16) == "bf16"
    assert resolve_precision("auto", WITHOUT) == "fp32"


def test_a_precision_asked_for_is_given_or_refused_never_swapped() -> None:
    assert resolve_precision("fp32", WITH_BF16) == "fp32"
    assert resolve_precision("bf16", WITH_BF16) == "bf16"
    with pytest.raises(ModelUnavailable, match=r"FP32, INT8.*use 'auto' or 'fp32'"):
        resolve_precision("bf16", WITHOUT)


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="choose auto, fp32 or bf16"):
        OpenVinoEncoder(cache_dir=tmp_path, precision="int4")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="threads=-1"):
        OpenVinoEncoder(cache_dir=tmp_path, threads=-1)
    with pytest.raises(InvalidRequest, match="batch_tokens=0"):
        OpenVinoEncoder(cache_dir=tmp_path, batch_tokens=0)


@given(lengths=st.lists(st.integers(1, 256), max_size=50), budget=st.integers(1, 5000), padding=st.integers(0, 300))
@settings(max_examples=200)
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int, padding: int) -> None:
    cut = list(batches(lengths, budget, padding))
    assert sorted(i for rows in cut for i in rows) == list(range(len(lengths)))
    for rows in cut:
        full = len(rows) * max(lengths[i] for i in rows)
        assert len(rows) == 1 or full <= budget
        assert full - sum(lengths[i] for i in rows) <= padding


def test_small_and_large_batches_on_one_stream_or_more_give_the_same_vectors(model_cache: Path) -> None:
    texts = [f"passage {i} " + "of some length " * (i % 17) for i in range(40)]
    large = OpenVinoEncoder(model_cache, "fp32", threads=2).encode_documents(texts)
    small = OpenVinoEncoder(model_cache, "fp32", threads=1, batch_tokens=64).encode_documents(texts)
    np.testing.assert_allclose(small, large, atol=1e-5)


def test_encoding_loads_neither_torch_nor_transformers(model_cache: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from retrieval.encoders.openvino import OpenVinoEncoder\n"
        "OpenVinoEncoder(cache_dir=pathlib.Path(sys.argv[1]), threads=1).encode_queries(['a'])\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(model_cache)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
