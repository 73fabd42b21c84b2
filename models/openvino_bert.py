"""A BERT encoder written as an OpenVINO graph, straight from its safetensors.

Tracing the PyTorch module would give much the same graph, but needs torch and transformers (a gigabyte in memory
and many seconds) to get at 90 MB of weights. Here the graph is spelled out once, so nothing but the weights is read,
and pooling is part of the graph.

    ids, mask  (batch, length)
      └─ word + position + type 0 embeddings ─ LayerNorm
           └─ n × [ attention ─ + ─ LayerNorm ─ GELU feed-forward ─ + ─ LayerNorm ]
                └─ "tokens"    (batch, length, dim)
                     └─ mean over the mask ─ L2 ─ "sentences"  (batch, dim)

Devlin et al. 2019 (post-norm, exact GELU); mean pooling as in Reimers & Gurevych 2019.
Not known here: text, tokenising, precision, threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelUnavailable

# Part of every cache key and encoder revision: raise it when the graph computes something else.
GRAPH_VERSION = 2
TOKENS = "tokens"
SENTENCES = "sentences"

Weights = Mapping[str, NDArray[np.float32]]
_MASKED = -1e9


def check_config(config: Mapping[str, Any]) -> None:
    """Raises ModelUnavailable if ``config.json`` describes a BERT that this graph would compute wrongly."""
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in wanted.items():
        if (found := config.get(key, value)) != value:
            raise ModelUnavailable(f"config.json has {key}={found!r}: this graph is a BERT with {value!r}")


def build_bert(weights: Weights, config: Mapping[str, Any]) -> Any:
    """Builds the graph.

    Args:
        weights: tensors under the names of Hugging Face's BertModel, float32.
        config: the model's ``config.json``.

    Returns:
        ``openvino.Model`` with inputs ``input_ids`` and ``attention_mask`` (batch, length) int32, and outputs
        ``sentences`` (batch, dim) and ``tokens`` (batch, length, dim) float32.

    Raises:
        ModelUnavailable: another architecture, or a tensor is absent.
    """
    import openvino as ov
    from openvino import opset13 as op

    check_config(config)
    dim, n_heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    head_dim = dim // n_heads
    eps = float(config["layer_norm_eps"])

    def weight(name: str) -> NDArray[np.float32]:
        if name not in weights:
            raise ModelUnavailable(f"the weights hold no tensor {name!r}: not a BERT, or a damaged file")
        return np.asarray(weights[name], dtype=np.float32)

    def vector(values: NDArray[np.float32]) -> Any:
        return op.constant(np.ascontiguousarray(values.reshape(1, 1, -1)))

    def ints(*values: int) -> Any:
        return op.constant(np.array(values, dtype=np.int64))

    def number(value: int) -> Any:
        return op.constant(np.array(value, dtype=np.int32))

    def linear(x: Any, matrix: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        product = op.matmul(x, op.constant(np.ascontiguousarray(matrix)), False, True)
        return op.add(product, vector(bias))

    def layer_norm(x: Any, name: str) -> Any:
        normal = op.mvn(x, ints(-1), True, eps, "inside_sqrt")
        return op.add(op.multiply(normal, vector(weight(f"{name}.weight"))), vector(weight(f"{name}.bias")))

    def heads(x: Any) -> Any:  # (batch, length, dim) → (batch, heads, length, head_dim)
        return op.transpose(op.reshape(x, ints(0, 0, n_heads, head_dim), True), ints(0, 2, 1, 3))

    def attention(x: Any, bias: Any, name: str) -> Any:
        # Three products, not one of thrice the width: the plugin splits slowly, and one was 5 % slower in all.
        query, key, value = (
            heads(linear(x, weight(f"{name}.self.{part}.weight"), weight(f"{name}.self.{part}.bias")))
            for part in ("query", "key", "value")
        )
        mixed = op.scaled_dot_product_attention(query, key, value, bias)  # scale 1/√head_dim
        mixed = op.reshape(op.transpose(mixed, ints(0, 2, 1, 3)), ints(0, 0, dim), True)
        return linear(mixed, weight(f"{name}.output.dense.weight"), weight(f"{name}.output.dense.bias"))

    ids = op.parameter([-1, -1], np.int32, name="input_ids")
    mask = op.parameter([-1, -1], np.int32, name="attention_mask")

    # One text has one segment, so that its type embedding is a constant of the position embedding.
    position_table = (
        weight("embeddings.position_embeddings.weight") + weight("embeddings.token_type_embeddings.weight")[0]
    )
    length = op.gather(op.shape_of(ids, "i32"), number(1), number(0))
    positions = op.range(number(0), length, number(1), "i32")
    words = op.gather(op.constant(weight("embeddings.word_embeddings.weight")), ids, number(0))
    places = op.unsqueeze(op.gather(op.constant(position_table), positions, number(0)), number(0))
    x = layer_norm(op.add(words, places), "embeddings.LayerNorm")

    present = op.convert(mask, "f32")  # (batch, length): 1 real, 0 padding
    absent = op.subtract(op.constant(np.array(1, dtype=np.float32)), present)
    bias = op.unsqueeze(op.multiply(absent, op.constant(np.array(_MASKED, dtype=np.float32))), ints(1, 2))

    for i in range(int(config["num_hidden_layers"])):
        name = f"encoder.layer.{i}"
        x = layer_norm(op.add(attention(x, bias, f"{name}.attention"), x), f"{name}.attention.output.LayerNorm")
        wide = op.gelu(
            linear(x, weight(f"{name}.intermediate.dense.weight"), weight(f"{name}.intermediate.dense.bias")), "erf"
        )
        narrow = linear(wide, weight(f"{name}.output.dense.weight"), weight(f"{name}.output.dense.bias"))
        x = layer_norm(op.add(narrow, x), f"{name}.output.LayerNorm")

    # Sums, not a matrix product: under bf16 the CPU plugin should keep what follows the last product in float32.
    column = op.unsqueeze(present, number(2))
    total = op.reduce_sum(op.multiply(x, column), ints(1), False)
    count = op.maximum(op.reduce_sum(column, ints(1), False), op.constant(np.array(1, dtype=np.float32)))
    sentences = op.result(op.normalize_l2(op.divide(total, count), ints(1), 1e-24, "max"))
    tokens = op.result(x)
    sentences.output(0).set_names({SENTENCES})
    tokens.output(0).set_names({TOKENS})
    return ov.Model([sentences, tokens], [ids, mask], "bert")
