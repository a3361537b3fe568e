"""What a training step keeps of its forward pass, and what lives beside that for a moment.

Arithmetic over the settings, no torch: every size below was read off the tensors of real steps, and
the tests count them anew. Does not know when in a step they come together (`memory.py` does).

Letters: N tokens of a micro-batch, C channels, T context, H heads.
"""

from functools import cached_property

from playattention.bench.sizes import table_rows
from playattention.config import AnyModelConfig, GPT2Config, GPTConfig, ModernConfig, RunConfig

FLOAT32 = 4
NUMBER = {"off": 4, "bf16": 2, "fp16": 2}
"""Bytes of a number in the matrix products, by `train.autocast`."""
TOKEN_ID = 8


class Activations:
    """The sizes of a step's activations, in bytes.

    Args:
        config: The run; `train.autocast` and `train.compile` decided, not "auto".
        gpu: On CUDA, whose dropout keeps one byte an element, and whose autocast does softmax in
            float32; else on a CPU.
    """

    def __init__(self, config: RunConfig, *, gpu: bool) -> None:
        self.model: AnyModelConfig = config.model
        self.gpu = gpu
        self.compiled = config.train.compile == "on"
        self.checkpointing = config.train.grad_checkpointing
        self.is_gpt2 = isinstance(self.model, GPT2Config)
        self.is_modern = isinstance(self.model, ModernConfig)
        self.together = self.is_gpt2 or self.is_modern
        """Whether the heads of a block are computed together."""
        self.tokens = config.train.batch_size * self.model.seq_size
        self.number = NUMBER[config.train.autocast]
        self.mixed = self.number != FLOAT32
        self.elements = self.tokens * self.model.n_embd
        self.stream = FLOAT32 * self.elements
        """The residual stream (N, C), which autocast leaves in float32."""
        self.result = self.number * self.elements
        """An (N, C) result of a matrix product."""
        self.statistics = 2 * FLOAT32 * self.tokens
        """Of a norm: mean and deviation of each token, or no more than that."""
        self.logits = self.number * self.tokens * table_rows(self.model)
        """Padding included; the loop still holds them when the loss goes back."""

    @property
    def fused(self) -> bool:
        """Whether attention runs in one kernel; on a CPU, PyTorch has none with dropout."""
        return self._asked and (self.gpu or not self.model.dropout)

    @property
    def _asked(self) -> bool:
        return not isinstance(self.model, GPTConfig) and self.model.flash_attention

    @property
    def unfused_anyway(self) -> bool:
        """Whether one kernel was asked for and PyTorch goes step by step: then in float32."""
        return self._asked and not self.fused

    @property
    def scores(self) -> int:
        """How many scores a block has: every pair of tokens, in every head."""
        return self.tokens * self.model.seq_size * self.model.n_head

    @property
    def masks(self) -> int:
        """The causal masks: one in each block, or one in each head of GPT; angles count as such."""
        per_block = 1 if self.together else self.model.n_head
        angles = FLOAT32 * self.model.seq_size * self.model.head_size if self.is_modern else 0
        return self.model.n_layer * (per_block * self.model.seq_size**2 + angles)

    @property
    def dropped(self) -> int:
        """What dropout keeps of each element: a mask on a GPU or compiled, else factors."""
        if not self.model.dropout:
            return 0
        return 1 if self.gpu or self.compiled else self.number

    # Kept from the forward to the backward pass.

    @cached_property
    def kept_attention(self) -> int:
        """By a block's first half."""
        # Autocast casts an input anew for each linear layer, of which GPT's heads have three each.
        several = self.mixed and not self.together and not self.compiled
        casts = 3 * self.model.n_head if several else 1
        kept = self.stream + self.statistics + (casts + 4) * self.result
        kept += self.dropped * self.elements + self._kept_turned
        if self.fused:
            return kept + FLOAT32 * self.tokens * self.model.n_head
        return kept + self._kept_weights

    @property
    def _kept_turned(self) -> int:
        """By the norms of queries and keys, beside what attention keeps of them turned."""
        if not self.is_modern:
            return 0
        # In 16 bits they keep copies; then only fused attention keeps what the three are views of.
        own = 0 if self.mixed and not self.fused else 2
        sizes = 2 * FLOAT32 * self.tokens * self.model.n_head
        casts = 2 * self.stream if self.mixed and not self.compiled else 0
        return own * self.result + sizes + casts

    @property
    def _kept_weights(self) -> int:
        """By softmax and dropout, of the T x T weights."""
        if self.unfused_anyway:
            queries = 3 * (FLOAT32 - self.number) * self.elements
            return queries + (3 if self.model.dropout else 1) * FLOAT32 * self.scores
        if self.gpu and self.mixed:  # in float32, and cast for the product that follows
            return (FLOAT32 + self.number + self.dropped) * self.scores
        return (self.number + (self.number + self.dropped if self.dropped else 0)) * self.scores

    @cached_property
    def kept_feed_forward(self) -> int:
        """By a block's second half; GELU and a square keep their input, ReLU compiled a mask."""
        wide = (8 if self.together else 4) * self.result
        if self.compiled and not self.together:
            wide += 4 * self.elements
        return self.stream + self.statistics + self.result + wide + self.dropped * self.elements

    @cached_property
    def kept_ends(self) -> int:
        """Outside the blocks: the ids, the first dropout, the last norm, and the first one."""
        kept = 2 * TOKEN_ID * self.tokens + self.stream + self.statistics + self.result
        kept += self.stream if self.is_modern else 0
        if self.dropped:
            kept += (1 if self.gpu or self.compiled else FLOAT32) * self.elements
        return kept

    # Alive for an operation or two.

    @property
    def named_embeddings(self) -> int:
        """Embeddings that the model still has a name for while it runs forward."""
        if self.compiled:
            return 0
        return (2 if self.model.dropout else 1) * self.stream

    @property
    def named_norm(self) -> int:
        """A norm's float32 result, of which autocast took a copy."""
        return self.stream if self.mixed and not self.compiled else 0

    @property
    def attention_results(self) -> int:
        """What attention computes in the forward pass beside what it keeps."""
        normed = 2 * self.result if self.is_modern else 0  # queries and keys, before the turn
        if self.fused:
            return self.named_norm + self.result + normed
        if self.unfused_anyway:
            cast = self.number * self.scores if self.mixed else 0
            return self.named_norm + 6 * self.result + cast + normed
        named = 1 if self.compiled else 3  # scores, scaled, masked
        if self.together:
            named *= self.number * self.scores
            return self.named_norm + 4 * self.result + named + normed
        return self.named_norm + named * self.number * self.scores // self.model.n_head

    @property
    def gradient_in(self) -> int:
        """The stream's gradient, and its copy in autocast's format."""
        return self.stream + (self.result if self.mixed else 0)

    @property
    def attention_gradients(self) -> int:
        """What attention needs in the backward pass beside the stream's gradient."""
        if self.fused:
            return 4 * self.result
        heads = 1 if self.together else self.model.n_head  # GPT's go back one after another
        number = FLOAT32 if self.mixed and (self.gpu or self.unfused_anyway) else self.number
        return self.result + (1 if self.dropped else 2) * number * self.scores // heads

    @property
    def feed_forward_gradients(self) -> int:
        """What the feed-forward layer needs in the backward pass beside the stream's gradient."""
        # GELU's own output is free by then, unless compiled code has just computed it once more.
        lean = self.is_gpt2 or self.compiled
        wide = 4 if lean and not (self.compiled and self.checkpointing) else 8
        if self.is_modern and not self.compiled:  # a square hands its gradient to both sides
            wide = 12
        return wide * self.result + self.number * 4 * self.model.n_embd**2

    @property
    def loss_results(self) -> int:
        """The log-softmax and its input in float32; compiled, neither is written."""
        return 0 if self.compiled else 2 * FLOAT32 * self.tokens * self.model.vocab_size

    @property
    def loss_gradients(self) -> int:
        """Two gradients and the log-softmax; compiled, the logits in its place, in their format."""
        number = self.number if self.compiled else FLOAT32
        return 3 * number * self.tokens * self.model.vocab_size
