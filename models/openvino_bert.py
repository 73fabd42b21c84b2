"""A BERT written as an OpenVINO graph, straight from its safetensors: an encoder, or a cross-encoder.

Tracing the PyTorch module would give much the same graph, but needs torch and transformers (a gigabyte in memory
and many seconds) to get at 90 MB of weights. Here the graph is spelled out once, so nothing but the weights is read,
and pooling is part of the graph.

    ids, mask  (batch, length)
      └─ word + position + type 0 embeddings ─ LayerNorm
           └─ n × [ attention ─ + ─ LayerNorm ─ GELU feed-forward ─ + ─ LayerNorm ]
                └─ "tokens"    (batch, length, dim)
                     ├─ mean over the mask ─ L2 ─ "sentences"  (batch, dim)
                     └─ cross-encoder: [CLS] ─ pooler ─ tanh, or mean over the mask ─ classifier ─ "logits"  (batch, 1)

Devlin et al. 2019 (post-norm, exact GELU); mean pooling as in Reimers & Gurevych 2019; a pair of texts as one input with
segments 0 and 1 as in Nogueira & Cho 2019.
Not known here: text, tokenising, precision, threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelUnavailable

# Part of every cache key and encoder revision: raise it when the graph computes something else.
GRAPH_VERSION = 2
TOKENS = "tokens"
SENTENCES = "sentences"
LOGITS = "logits"

Pooling = Literal["cls", "mean"]

Weights = Mapping[str, NDArray[np.float32]]
_MASKED = -1e9


def check_config(config: Mapping[str, Any]) -> None:
    """Raises ModelUnavailable if ``config.json`` describes a BERT that this graph would compute wrongly."""
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in wanted.items():
        if (found := config.get(key, value)) != value:
            raise ModelUnavailable(f"config.json has {key}={found!r}: this graph is a BERT with {value!r}")


def build_bert(weights: Weights, config: Mapping[str, Any]) -> Any:
    """Builds the graph of an encoder.

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

    check_config(config)
    graph = _Graph(weights, config)
    op, ids, mask = graph.op, graph.input("input_ids"), graph.input("attention_mask")
    x = graph.states(ids, mask, None)
    sentences = op.result(op.normalize_l2(graph.mean(x, mask), graph.ints(1), 1e-24, "max"))
    tokens = op.result(x)
    sentences.output(0).set_names({SENTENCES})
    tokens.output(0).set_names({TOKENS})
    return ov.Model([sentences, tokens], [ids, mask], "bert")


def build_cross_encoder(weights: Weights, config: Mapping[str, Any], pooling: Pooling = "cls") -> Any:
    """Builds the graph of a cross-encoder with one output.

    Args:
        weights: tensors under the names of Hugging Face's BertForSequenceClassification with one label, float32.
        config: the model's ``config.json``.
        pooling: "cls" is that class's own: the classifier over tanh(pooler([CLS])). "mean" puts it straight over the
            mean of all tokens, [CLS] and [SEP] included; there is no pooler then.

    Returns:
        ``openvino.Model`` with inputs ``input_ids``, ``attention_mask`` and ``token_type_ids`` (batch, length) int32
        and the output ``logits`` (batch, 1) float32.

    Raises:
        ModelUnavailable: another architecture, or a tensor is absent or of another shape.
    """
    import openvino as ov

    check_config(config)
    graph = _Graph(weights, config, prefix="bert.")
    op, ids, mask, types = graph.op, *(graph.input(n) for n in ("input_ids", "attention_mask", "token_type_ids"))
    x = graph.states(ids, mask, types)
    if pooling == "mean":
        pooled = graph.mean(x, mask)
    else:
        first = op.gather(x, graph.number(0), graph.number(1))  # (batch, dim)
        pooled = op.tanh(graph.linear(first, graph.weight("pooler.dense.weight"), graph.weight("pooler.dense.bias")))
    matrix, bias = (graph.weight(f"classifier.{part}", prefix="") for part in ("weight", "bias"))
    if matrix.shape != (1, graph.dim) or bias.shape != (1,):
        raise ModelUnavailable(
            f"the classifier is {matrix.shape} with a bias {bias.shape}: a reranker has one label over {graph.dim} "
            "numbers, (1, dim) and (1,); a model with several labels is no reranker"
        )
    logits = op.result(graph.linear(pooled, matrix, bias))
    logits.output(0).set_names({LOGITS})
    return ov.Model([logits], [ids, mask, types], "cross-encoder")


class _Graph:
    """The parts that both graphs are made of."""

    def __init__(self, weights: Weights, config: Mapping[str, Any], prefix: str = "") -> None:
        from openvino import opset13

        self.op: Any = opset13
        self._weights = weights
        self._prefix = prefix
        self.dim = int(config["hidden_size"])
        self._n_heads = int(config["num_attention_heads"])
        self._n_layers = int(config["num_hidden_layers"])
        self._eps = float(config["layer_norm_eps"])

    def input(self, name: str) -> Any:
        return self.op.parameter([-1, -1], np.int32, name=name)

    def weight(self, name: str, prefix: str | None = None) -> NDArray[np.float32]:
        name = (self._prefix if prefix is None else prefix) + name
        if name not in self._weights:
            raise ModelUnavailable(f"the weights hold no tensor {name!r}: not a BERT, or a damaged file")
        return np.asarray(self._weights[name], dtype=np.float32)

    def ints(self, *values: int) -> Any:
        return self.op.constant(np.array(values, dtype=np.int64))

    def number(self, value: int) -> Any:
        return self.op.constant(np.array(value, dtype=np.int32))

    def linear(self, x: Any, matrix: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        product = self.op.matmul(x, self.op.constant(np.ascontiguousarray(matrix)), False, True)
        return self.op.add(product, self.op.constant(np.ascontiguousarray(bias)))

    def mean(self, x: Any, mask: Any) -> Any:
        """(batch, dim): the mean over the tokens that are there."""
        # Sums, not a matrix product: under bf16 the CPU plugin should keep what follows the last product in float32.
        op = self.op
        column = op.unsqueeze(op.convert(mask, "f32"), self.number(2))
        total = op.reduce_sum(op.multiply(x, column), self.ints(1), False)
        count = op.maximum(op.reduce_sum(column, self.ints(1), False), op.constant(np.array(1, dtype=np.float32)))
        return op.divide(total, count)

    def states(self, ids: Any, mask: Any, types: Any | None) -> Any:
        """(batch, length, dim): the last layer. Without ``types`` all is segment 0."""
        op = self.op
        length = op.gather(op.shape_of(ids, "i32"), self.number(1), self.number(0))
        positions = op.range(self.number(0), length, self.number(1), "i32")
        position_table = self.weight("embeddings.position_embeddings.weight")
        type_table = self.weight("embeddings.token_type_embeddings.weight")
        words = op.gather(op.constant(self.weight("embeddings.word_embeddings.weight")), ids, self.number(0))
        if types is None:  # one segment, so that its embedding is a constant of the position's
            position_table = position_table + type_table[0]
        places = op.gather(op.constant(position_table), positions, self.number(0))
        x = op.add(words, op.unsqueeze(places, self.number(0)))
        if types is not None:
            x = op.add(x, op.gather(op.constant(type_table), types, self.number(0)))
        x = self._layer_norm(x, "embeddings.LayerNorm")

        # (batch, 1, 1, length): 0 real, very negative for padding
        absent = op.subtract(op.constant(np.array(1, dtype=np.float32)), op.convert(mask, "f32"))
        bias = op.unsqueeze(op.multiply(absent, op.constant(np.array(_MASKED, dtype=np.float32))), self.ints(1, 2))
        for i in range(self._n_layers):
            x = self._layer(x, bias, f"encoder.layer.{i}")
        return x

    def _layer(self, x: Any, bias: Any, name: str) -> Any:
        op = self.op
        attended = op.add(self._attention(x, bias, f"{name}.attention"), x)
        x = self._layer_norm(attended, f"{name}.attention.output.LayerNorm")
        wide = op.gelu(self._dense(x, f"{name}.intermediate.dense"), "erf")
        return self._layer_norm(op.add(self._dense(wide, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    def _attention(self, x: Any, bias: Any, name: str) -> Any:
        # Three products, not one of thrice the width: the plugin splits slowly, and one was 5 % slower in all.
        op = self.op
        query, key, value = (self._heads(self._dense(x, f"{name}.self.{part}")) for part in ("query", "key", "value"))
        mixed = op.scaled_dot_product_attention(query, key, value, bias)  # scale 1/√head_dim
        mixed = op.reshape(op.transpose(mixed, self.ints(0, 2, 1, 3)), self.ints(0, 0, self.dim), True)
        return self._dense(mixed, f"{name}.output.dense")

    def _heads(self, x: Any) -> Any:  # (batch, length, dim) → (batch, heads, length, head_dim)
        shape = self.ints(0, 0, self._n_heads, self.dim // self._n_heads)
        return self.op.transpose(self.op.reshape(x, shape, True), self.ints(0, 2, 1, 3))

    def _dense(self, x: Any, name: str) -> Any:
        return self.linear(x, self.weight(f"{name}.weight"), self._vector(f"{name}.bias"))

    def _layer_norm(self, x: Any, name: str) -> Any:
        normal = self.op.mvn(x, self.ints(-1), True, self._eps, "inside_sqrt")
        scaled = self.op.multiply(normal, self.op.constant(self._vector(f"{name}.weight")))
        return self.op.add(scaled, self.op.constant(self._vector(f"{name}.bias")))

    def _vector(self, name: str) -> NDArray[np.float32]:
        return self.weight(name).reshape(1, 1, -1)
