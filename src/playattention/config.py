"""What a run is: its model, its data and its training, validated once, when it is written down.

The command line is made from these classes: each field is an option, its docstring the help.
Does not know which tokenizers and data sets exist: those names are checked where a run is opened.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from tyro.conf import Suppress, arg

from playattention.errors import UserError, one_line, unknown
from playattention.settings import Settings, check_whole_matrices


class ModelConfig(Settings):
    """The sizes that every model shares."""

    vocab_size: Suppress[int] = Field(default=65, ge=1)
    """Distinct tokens; a run takes it from its tokenizer."""
    seq_size: int = Field(default=64, ge=1)
    """Context length: how many tokens the model sees at once."""
    n_embd: int = Field(default=128, ge=1)
    """Channels: the length of the vector that stands for each token."""
    n_head: int = Field(default=4, ge=1)
    """Attention heads in each block; must divide n_embd."""
    n_layer: int = Field(default=4, ge=1)
    """Transformer blocks, one after another."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of activations zeroed while training."""

    @model_validator(mode="after")
    def _heads_divide_channels(self) -> Self:
        if self.n_embd % self.n_head:
            near = sorted({self.head_size, self.head_size + 1} - {0})
            dividing = [size for size in range(1, self.n_embd + 1) if self.n_embd % size == 0]
            heads = min(dividing, key=lambda size: abs(size - self.n_head))
            raise UserError(
                f"n_embd = {self.n_embd}: must be divisible by n_head = {self.n_head}; "
                f"nearest: {' or '.join(str(size * self.n_head) for size in near)}, "
                f"or n_head = {heads}"
            )
        return self

    @property
    def head_size(self) -> int:
        """Channels of one attention head."""
        return self.n_embd // self.n_head


class GPTConfig(ModelConfig):
    """GPT with every attention head spelled out; small enough for a laptop's CPU."""

    name: Suppress[Literal["gpt"]] = "gpt"
    """Which model this is."""


GPT2_PRESETS = {
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768},
    "gpt2-medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024},
    "gpt2-large": {"n_layer": 36, "n_head": 20, "n_embd": 1280},
    "gpt2-xl": {"n_layer": 48, "n_head": 25, "n_embd": 1600},
}
"""Sizes of the released models (Radford et al. 2019, table 2; the small one has 124M weights)."""


class GPT2Config(ModelConfig):
    """GPT-2 with fused attention; the defaults are the small model, 124M weights."""

    name: Suppress[Literal["gpt2"]] = "gpt2"
    """Which model this is."""
    vocab_size: Suppress[int] = Field(default=50_257, ge=1)
    """Distinct tokens; a run takes it from its tokenizer."""
    seq_size: int = Field(default=1024, ge=1)
    """Context length: how many tokens the model sees at once."""
    n_embd: int = Field(default=768, ge=1)
    """Channels: the length of the vector that stands for each token."""
    n_head: int = Field(default=12, ge=1)
    """Attention heads in each block; must divide n_embd."""
    n_layer: int = Field(default=12, ge=1)
    """Transformer blocks, one after another."""
    flash_attention: bool = True
    """Fused attention that never writes the T x T weights to memory; off: step by step."""
    vocab_multiple: int = Field(default=128, ge=1)
    """Rows of the embedding table are padded to a multiple of this (50,257 -> 50,304); 1: none."""

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> Self:
        """Return a released size.

        Args:
            name: "gpt2" (124M), "gpt2-medium" (355M), "gpt2-large" (774M) or "gpt2-xl" (1.6B).
            overrides: Fields to set otherwise.

        Raises:
            UserError: If there is no such size.
        """
        if name not in GPT2_PRESETS:
            raise unknown("preset", name, GPT2_PRESETS)
        return cls(**{**GPT2_PRESETS[name], **overrides})

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding table."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple


class ModernConfig(ModelConfig):
    """What changed since GPT-2, at a size that a laptop trains in seconds."""

    name: Suppress[Literal["modern"]] = "modern"
    """Which model this is."""
    n_head: int = Field(default=2, ge=1)
    """Attention heads in each block; must divide n_embd, and leave each an even head size."""
    flash_attention: bool = True
    """Fused attention that never writes the T x T weights to memory; off: step by step."""

    @model_validator(mode="after")
    def _channels_turn_in_pairs(self) -> Self:
        if self.head_size % 2:
            near = [size * self.n_head for size in (self.head_size - 1, self.head_size + 1) if size]
            raise UserError(
                f"n_embd = {self.n_embd}: must be an even multiple of n_head = {self.n_head}, as "
                f"positions turn pairs of channels; nearest: {' or '.join(map(str, near))}"
            )
        return self


AnyModelConfig = GPTConfig | GPT2Config | ModernConfig  # each tells its name


class DataConfig(Settings):
    """Which text is read, and how it becomes windows of tokens."""

    dataset: Annotated[str, arg(prefix_name=False)] = "tinyshakespeare"
    """A registered data set, or the path of a text file or of a folder of shards."""
    tokenizer: Annotated[str, arg(prefix_name=False)] = "char"
    """How text becomes token ids: char or gpt2."""
    train_val_split: float = Field(default=0.9, gt=0.0, lt=1.0)
    """Share of the text that is trained on; the rest, its end, is for validation."""
    sampling: Literal["permutation", "random"] = "permutation"
    """permutation: every window once an epoch; random: the textbook's random starts."""
    eval_tokens: int = Field(default=200_000, ge=1)
    """Validation tokens read at an evaluation, or the whole split; before a step at most 10,000."""


class TrainConfig(Settings):
    """How the weights are found; the defaults are the GPT recipe's."""

    steps: int = Field(default=2000, ge=1)
    """Optimizer steps."""
    epochs: float | None = Field(default=None, gt=0.0)
    """Passes over the training split; where given, it takes the place of steps."""
    batch_size: int = Field(default=12, ge=1)
    """Sequences in a micro-batch, one forward and backward pass."""
    tokens_per_step: int | None = Field(default=None, ge=1)
    """Tokens an optimizer step learns from; default: one micro-batch, batch_size x seq_size."""
    learning_rate: float = Field(default=1e-3, gt=0.0)
    """Its highest value, reached when the warm-up ends."""
    min_learning_rate: float = Field(default=1e-4, ge=0.0)
    """Its value at the last step of the cosine."""
    warmup_steps: int = Field(default=100, ge=0)
    """Steps over which the learning rate rises in a straight line."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """What the learning rate does after the warm-up."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: orthogonal steps for the matrices in blocks, AdamW for all other weights."""
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0)
    """Muon's decay rate of a matrix's averaged gradient."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's decay rates of the two moments."""
    weight_decay: float = Field(default=0.1, ge=0.0)
    """Decay of the matrices; norms and biases are left alone."""
    grad_clip: float = Field(default=1.0, ge=0.0)
    """Largest gradient norm over all weights; 0: no clipping."""
    seed: int = Field(default=1337, ge=0, lt=2**64)
    """Decides the first weights, the order of the windows, dropout and samples."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto: cuda, then mps, then cpu."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; default: what PyTorch or a probe chooses. A run keeps its number."""
    autocast: Literal["auto", "off", "bf16", "fp16"] = "auto"
    """Format of the matrix products; auto: bf16 where it is in hardware (CPU: if faster)."""
    tf32: bool = True
    """Lets a GPU round the operands of float32 matrix products to TensorFloat-32."""
    compile: Literal["auto", "off", "on"] = "auto"
    """torch.compile; auto: on a CUDA GPU."""
    fused_adamw: bool = True
    """The whole update of the weights in one operation; off: an operation for each of its steps."""
    grad_checkpointing: bool = False
    """Forgets a block's activations and computes them again backwards: less memory, more time."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """On several devices: ddp keeps all weights on each, fsdp a share of them."""
    eval_every: int = Field(default=250, ge=1)
    """Steps between evaluations; each is followed by a sample and a checkpoint."""
    keep_every: int | None = Field(default=None, ge=1)
    """Also keeps the checkpoints of these steps; default: the first, the best and the last."""
    tracker: Literal["none", "tensorboard", "wandb"] = "none"
    """Where the numbers of log.csv and the samples go, too; both are extras to install."""
    sample_tokens: int = Field(default=300, ge=0)
    """Tokens of the sample written at each evaluation; 0: none."""

    @model_validator(mode="after")
    def _betas_are_rates(self) -> Self:
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise UserError(f"betas = {self.betas}: each must be at least 0 and below 1")
        if self.min_learning_rate > self.learning_rate:
            raise UserError(
                f"min_learning_rate = {self.min_learning_rate}: must not be above "
                f"learning_rate = {self.learning_rate}"
            )
        return self


class RunConfig(Settings):
    """A whole run: what is written to its config.json, and all that its command line sets."""

    model: Annotated[AnyModelConfig, Field(discriminator="name")] = GPTConfig()
    """The model."""
    data: DataConfig = DataConfig()
    """The data."""
    train: TrainConfig = TrainConfig()
    """The training."""

    @model_validator(mode="after")
    def _micro_batches_fill_a_step(self) -> Self:
        micro_batch = self.train.batch_size * self.model.seq_size
        if self.tokens_per_step % micro_batch:
            below = self.tokens_per_step // micro_batch * micro_batch
            near = [str(tokens) for tokens in (below, below + micro_batch) if tokens]
            raise UserError(
                f"tokens_per_step = {self.tokens_per_step}: must be a multiple of "
                f"batch_size x seq_size = {self.train.batch_size} x {self.model.seq_size} "
                f"= {micro_batch}; nearest: {' or '.join(near)}"
            )
        return self

    @property
    def tokens_per_step(self) -> int:
        """Tokens an optimizer step learns from."""
        return self.train.tokens_per_step or self.train.batch_size * self.model.seq_size

    @property
    def grad_accum(self) -> int:
        """Micro-batches whose gradients are added up before a step, over all ranks."""
        return self.tokens_per_step // (self.train.batch_size * self.model.seq_size)

    def check_ranks(self, ranks: int) -> None:
        """Check that the micro-batches of a step can be dealt out evenly, and weights as asked.

        Args:
            ranks: Processes that train together.

        Raises:
            UserError: If they can't; names the nearest settings that can.
        """
        check_whole_matrices(self.train.optimizer, self.train.parallel, ranks)
        if self.grad_accum % ranks == 0:
            return
        seq_size, batch_size = self.model.seq_size, self.train.batch_size
        sequences, together = self.tokens_per_step // seq_size, ranks * batch_size * seq_size
        dividing = (size for size in range(1, sequences + 1) if sequences % (ranks * size) == 0)
        fitting = sorted(dividing, key=lambda size: abs(size - batch_size))[:2]
        below = self.tokens_per_step // together * together
        near = [f"batch_size = {' or '.join(map(str, sorted(fitting)))}"] if fitting else []
        tokens = " or ".join(str(tokens) for tokens in (below, below + together) if tokens)
        raise UserError(
            f"tokens_per_step = {self.tokens_per_step}: {self.grad_accum} micro-batches of "
            f"batch_size x seq_size = {batch_size} x {seq_size} do not divide among {ranks} ranks; "
            f"nearest: {'; '.join([*near, f'tokens_per_step = {tokens}'])}"
        )

    def steps(self, train_tokens: int) -> int:
        """Return the number of optimizer steps over a training split of so many tokens."""
        if self.train.epochs is None:
            return self.train.steps
        return max(1, round(self.train.epochs * train_tokens / self.tokens_per_step))

    def updated(self, **parts: dict[str, Any]) -> Self:
        """Return a copy with fields of its parts replaced, validated anew.

        Args:
            parts: For example `train={"steps": 10}`.
        """
        values = self.model_dump()
        for part, fields in parts.items():
            values[part] |= fields
        return type(self)(**values)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `model_dump_json` wrote.

        Raises:
            UserError: If the text is no JSON, or not the settings of a run.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise one_line(error, cls) from None
