"""How much memory a training step takes at its peak, part by part.

A step is followed through the moments at which its memory can be highest; the peak is the largest.
Arithmetic, no torch: it answers at once and for any device. Counts what PyTorch's allocator counts,
in steady state: the optimizer has its moments, and an earlier step's gradients are freed.
"""

from dataclasses import dataclass, replace

from playattention.bench.activations import FLOAT32, Activations
from playattention.bench.sizes import multiplied_weights, remembered, table_rows, weights
from playattention.config import RunConfig

GIB = 2**30
EVALUATION_TOKENS = 4096
"""Of a forward pass of `evaluation.py`, which says why."""


@dataclass(frozen=True)
class Moment:
    """What is alive at one point of a step, in bytes."""

    name: str
    weights: int
    """In float32, with the causal masks."""
    weight_copies: int
    """The matrices in autocast's format, kept from the forward to the backward pass."""
    gradients: int
    """Of the weights, in float32."""
    optimizer: int
    """AdamW's two moments of each weight, or Muon's one of a matrix, in float32."""
    activations: int
    """What the forward pass keeps for the backward pass."""
    logits: int
    """Scores of the next token, their log-softmax, and the gradients of both."""
    working: int
    """What lives for an operation or two."""
    sharing: int
    """What several devices exchange: DDP's buckets, FSDP's gathered weights and gradients."""

    @property
    def parts(self) -> dict[str, int]:
        """Return the bytes by part, in the order above."""
        values = vars(self).items()
        return {part.replace("_", " "): size for part, size in values if isinstance(size, int)}

    @property
    def total(self) -> int:
        """Return the bytes of all parts."""
        return sum(self.parts.values())


def peak(config: RunConfig, *, gpu: bool, devices: int = 1) -> Moment:
    """Return the moment of a training step at which one device holds most.

    Args:
        config: The run; `train.autocast` and `train.compile` decided, not "auto".
        gpu: On a CUDA GPU; else on a CPU.
        devices: How many share the work, as `train.parallel` says.
    """
    moments = _Step(config, gpu=gpu, devices=devices).moments()
    return max(moments, key=lambda moment: moment.total)


def evaluation_peak(config: RunConfig, *, gpu: bool, devices: int = 1) -> Moment:
    """Return the moment of an evaluation at which one device holds most: the loss of a batch.

    Args: as of `peak`. It runs uncompiled, and with small micro-batches it needs more than a step.
    """
    tokens = min(EVALUATION_TOKENS, config.data.eval_tokens)
    windows = max(1, tokens // config.model.seq_size)
    tokens = windows * config.model.seq_size
    evaluated = config.updated(
        train={"batch_size": windows, "tokens_per_step": tokens, "compile": "off"}
    )
    step = _Step(evaluated, gpu=gpu, devices=devices)
    act, known = step.act, step.moments()[1]
    scores = FLOAT32 * act.tokens * config.model.vocab_size
    loss = replace(
        known,
        name="an evaluation's loss",
        activations=0,
        # The log-softmax, and the scores cast to float32 or, without padding rows, in one piece.
        logits=act.logits + (2 if act.mixed or act.is_gpt2 else 1) * scores,
        working=act.named_embeddings + 2 * act.stream,
    )
    block = replace(
        known,
        name="an evaluation's feed-forward layer",
        activations=0,
        logits=act.logits,  # of the batch before
        working=act.named_embeddings + 6 * act.stream + (12 if act.is_modern else 8) * act.result,
    )
    return max(loss, block, key=lambda moment: moment.total)


class _Step:
    """The moments of one training step.

    Args: as of `peak`.
    """

    def __init__(self, config: RunConfig, *, gpu: bool, devices: int) -> None:
        self.train, self.model, self.gpu, self.devices = config.train, config.model, gpu, devices
        self.accumulates = config.grad_accum // devices > 1
        self.act = Activations(config, gpu=gpu)
        self.all_weights = FLOAT32 * sum(weights(config.model).values())
        self.moments_kept = FLOAT32 * remembered(config.model, config.train)
        self.block_matrices = 12 * config.model.n_embd**2
        self.table = FLOAT32 * table_rows(config.model) * config.model.n_embd
        self.sharded = config.train.parallel == "fsdp" and devices > 1

    def moments(self) -> list[Moment]:
        """Return each moment that can be the peak."""
        layers = self.model.n_layer
        found = [
            self._attention_forward(),
            self._loss_forward(),
            self._loss_backward(),
            self._last_gradients(),
            self._update(),
        ]
        # Going backwards, activations shrink while gradients grow: the peak is at one of the ends.
        for done in {0, layers - 1}:
            found += [self._feed_forward_backward(done), self._attention_backward(done)]
        if self.train.grad_checkpointing:
            found.append(self._attention_again())
        return found

    def _attention_forward(self) -> Moment:
        """Return the moment when the last block mixes its values."""
        return self._moment(
            "attention, forward",
            waiting=self.model.n_layer - 1,
            kept=self.act.kept_attention + self.act.kept_ends - self.act.stream,
            working=self.act.named_embeddings + self.act.attention_results,
            copied=self.block_matrices * self.model.n_layer,
        )

    def _loss_forward(self) -> Moment:
        """Return the moment when the loss is known: autocast still has all its copies."""
        return self._moment(
            "the loss, forward",
            waiting=self.model.n_layer,
            kept=self.act.kept_ends,
            logits=self.act.logits + self.act.loss_results,
            working=self.act.named_embeddings + self.act.named_norm,
            copied=multiplied_weights(self.model),
        )

    def _loss_backward(self) -> Moment:
        """Return the moment when the loss goes back through the log-softmax."""
        return self._moment(
            "the loss, backward",
            waiting=self.model.n_layer,
            kept=self.act.kept_ends,
            logits=self.act.loss_gradients,
            copied=self._copied(self.model.n_layer),
        )

    def _feed_forward_backward(self, done: int) -> Moment:
        """Return the moment when a block's feed-forward layer goes back, after `done` others."""
        return self._moment(
            "feed-forward, backward",
            waiting=self.model.n_layer - 1 - done,
            kept=self.act.kept_attention + self.act.kept_feed_forward,
            done=done,
            working=self.act.gradient_in + self.act.feed_forward_gradients,
            copied=self._copied(self.model.n_layer - done),
        )

    def _attention_backward(self, done: int) -> Moment:
        """Return the moment when a block's attention goes back, after `done` other blocks."""
        return self._moment(
            "attention, backward",
            waiting=self.model.n_layer - 1 - done,
            kept=self.act.kept_attention - self.act.result,  # the projection is done with its input
            done=done + 2 / 3,  # of a block's weights, two thirds are the feed-forward layer's
            working=self.act.gradient_in + self.act.attention_gradients,
            copied=self._copied(self.model.n_layer - done),
        )

    def _attention_again(self) -> Moment:
        """Return the moment when checkpointing computes the last block's attention once more."""
        return self._moment(
            "attention, again",
            waiting=self.model.n_layer - 1,
            kept=self.act.kept_attention,
            done=0,
            working=self.act.stream + self.act.attention_results,
            copied=self._copied(self.model.n_layer),
        )

    def _last_gradients(self) -> Moment:
        """Return the moment when the embedding table gets its gradient.

        GPT-2's table is the output head too: its two gradients are added up in a third.
        """
        working = self.act.stream + (2 * self.table if self.act.is_gpt2 else 0)
        return self._moment(
            "the last gradients",
            done=self.model.n_layer + 1,
            working=working,
        )

    def _update(self) -> Moment:
        """Return the moment of the update: AdamW needs its denominator where it is unfused.

        Muon takes the widest matrices of all blocks together, five times while it turns them.
        """
        working = 0
        if not self.train.fused_adamw:
            largest = max(self.table, 4 * FLOAT32 * self.model.n_embd**2)
            # On a GPU for all weights at once; on a CPU for one after another, in two results.
            working = self._share(self.all_weights) if self.gpu else 2 * largest
        if self.train.optimizer == "muon":
            square = FLOAT32 * self.model.n_layer * self.model.n_embd**2
            working = max(working, (5 * 4 + 1) * square)
        return self._moment("the update", done=self.model.n_layer + 1, working=working)

    def _moment(
        self,
        name: str,
        *,
        waiting: int = 0,
        kept: int = 0,
        logits: int = 0,
        done: float | None = None,
        working: int = 0,
        copied: int = 0,
    ) -> Moment:
        """Return a moment.

        Args:
            name: In words.
            waiting: Blocks that keep their activations, beside `kept`.
            kept: Bytes of activations of what is not waiting.
            logits: Bytes.
            done: Blocks that have gradients, after the head; None: not even that has.
            working: Bytes.
            copied: Weights of which autocast has a copy.
        """
        block = self.act.kept_attention + self.act.kept_feed_forward
        if self.train.grad_checkpointing:
            block = self.act.stream
        return Moment(
            name,
            weights=self._share(self.all_weights) + self.act.masks,
            weight_copies=self.act.number * copied if self.act.mixed else 0,
            gradients=self._gradients(done),
            optimizer=self._share(self.moments_kept),
            activations=kept + waiting * block,
            logits=logits,
            working=working,
            sharing=self._sharing(),
        )

    def _copied(self, blocks: int) -> int:
        """Return the weights that autocast has copies of while so many blocks wait."""
        if self.train.grad_checkpointing:
            blocks = min(1, blocks)
        head = 0 if self.act.compiled and self.act.is_gpt2 else self.table // FLOAT32
        return blocks * self.block_matrices + head

    def _gradients(self, done: float | None) -> int:
        """Return the bytes of gradients; accumulated ones stay from one micro-batch to the next."""
        whole = self._share(self.all_weights)
        if self.accumulates or done == self.model.n_layer + 1:
            return whole
        if done is None:
            return 0
        return min(whole, self._share(self.table + int(done * FLOAT32 * self.block_matrices)))

    def _share(self, size: int) -> int:
        """Return the bytes that one device holds of what all need."""
        return size // self.devices if self.sharded else size

    def _sharing(self) -> int:
        """Return the bytes of DDP's buckets, or of what FSDP gathers for the block at work."""
        if self.devices == 1:
            return 0
        if not self.sharded:
            return self.all_weights
        return self.table + 4 * FLOAT32 * self.block_matrices
