"""Which language model, encoder and reranker fit on a GPU together, reckoned from the sizes of their weights. Nothing here was measured.

    language model   weights + keys and values of the tokens that it holds at once + what vLLM takes beside (graphs, activations)
    encoder          weights, activations and a CUDA context, twice: the API has it for questions, the worker for passages
    reranker         the same once, in the API, whose CUDA context is there already

A plan may take ``SHARE`` of what the smallest card of its class has, since a card of "24 GB" can have 22.5 GiB (NVIDIA A10, L4).
"""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30
SHARE = 0.95
VLLM_BESIDE = 1.5  # GiB
CONTEXT = 0.5  # GiB of a process that uses CUDA at all
ACTIVATIONS = 0.5  # GiB of a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model by its name on the hub. ``bits`` of a weight as it is loaded, scales of a quantisation included; ``whole`` of the
    parameters are left in 16 bits, which are those of words (vocabulary × width, twice where what is read and said has its own)."""

    name: str
    parameters: float
    bits: float
    whole: float = 0.0

    @property
    def gib(self) -> float:
        return ((self.parameters - self.whole) * self.bits + self.whole * 16) / 8 / GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelPlan:
    """``layers``, ``kv_heads`` and ``head_size`` are those of its configuration; keys and values are kept in 16 bits.

    ``max_tokens``: of one request with its answer; ``held_tokens``: of all requests at once.
    """

    weights: Weights
    layers: int
    kv_heads: int
    head_size: int
    max_tokens: int
    held_tokens: int

    @property
    def gib(self) -> float:
        cache = 2 * self.layers * self.kv_heads * self.head_size * 2 * self.held_tokens / GIB
        return self.weights.gib + cache + VLLM_BESIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPlan:
    """For cards sold as having ``gb``, of which the smallest have ``least_gib``. None: what is packaged, on the processor."""

    gb: int
    least_gib: float
    lm: LanguageModelPlan
    encoder: Weights | None
    reranker: Weights | None

    @property
    def beside_gib(self) -> float:
        """What is not vLLM's."""
        encoder = 2 * (self.encoder.gib + ACTIVATIONS + CONTEXT) if self.encoder is not None else 0.0
        return encoder + (self.reranker.gib + ACTIVATIONS if self.reranker is not None else 0.0)

    @property
    def gib(self) -> float:
        return self.lm.gib + self.beside_gib

    @property
    def vllm_share(self) -> float:
        """What vLLM is to be given as --gpu-memory-utilization, of the smallest card."""
        return int(100 * (SHARE - self.beside_gib / self.least_gib)) / 100

    def text(self) -> str:
        """In a few words, for the doctor."""
        encoder = self.encoder.name if self.encoder is not None else "the packaged encoder"
        reranker = self.reranker.name if self.reranker is not None else "late interaction"
        return f"{self.lm.weights.name} with {encoder} and {reranker}"


def _qwen(
    name: str, parameters: float, bits: float, whole: float, layers: int, max_tokens: int, held: int
) -> LanguageModelPlan:
    weights = Weights(name=f"Qwen/{name}", parameters=parameters, bits=bits, whole=whole)
    return LanguageModelPlan(
        weights=weights, layers=layers, kv_heads=8, head_size=128, max_tokens=max_tokens, held_tokens=held
    )


_AWQ, _FP8 = 4.25, 8.1  # bits, with the scales
_WORDS = 151_936  # of the vocabulary
_BGE_BASE = Weights(name="BAAI/bge-base-en-v1.5", parameters=109e6, bits=32)
_BGE_M3 = Weights(name="BAAI/bge-m3", parameters=568e6, bits=32)
_RERANKER = Weights(name="BAAI/bge-reranker-v2-m3", parameters=568e6, bits=32)

PLANS: tuple[GpuPlan, ...] = (
    GpuPlan(
        gb=8,
        least_gib=7.6,
        lm=_qwen("Qwen3-4B-AWQ", 4.02e9, _AWQ, _WORDS * 2560, 36, 8192, 16384),
        encoder=None,
        reranker=None,
    ),
    GpuPlan(
        gb=16,
        least_gib=15.0,
        lm=_qwen("Qwen3-8B-AWQ", 8.19e9, _AWQ, 2 * _WORDS * 4096, 36, 16384, 24576),
        encoder=_BGE_BASE,
        reranker=None,
    ),
    GpuPlan(
        gb=24,
        least_gib=22.5,
        lm=_qwen("Qwen3-14B-AWQ", 14.8e9, _AWQ, 2 * _WORDS * 5120, 40, 8192, 8192),
        encoder=_BGE_M3,
        reranker=_RERANKER,
    ),
    GpuPlan(
        gb=48,
        least_gib=45.0,
        lm=_qwen("Qwen3-32B-AWQ", 32.8e9, _AWQ, 2 * _WORDS * 5120, 64, 16384, 49152),
        encoder=_BGE_M3,
        reranker=_RERANKER,
    ),
    GpuPlan(
        gb=80,
        least_gib=79.0,
        lm=_qwen("Qwen3-32B-FP8", 32.8e9, _FP8, 2 * _WORDS * 5120, 64, 32768, 98304),
        encoder=_BGE_M3,
        reranker=_RERANKER,
    ),
)


def plan_for(gib: float) -> GpuPlan | None:
    """The largest that a card of so many GiB holds; None for one that is smaller than all."""
    return next((plan for plan in reversed(PLANS) if gib >= plan.least_gib), None)
