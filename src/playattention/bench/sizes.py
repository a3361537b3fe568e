"""What a model is made of, in numbers: its weights by part and its operations for each token.

Arithmetic over the settings alone: knows no torch, so it answers at once. The tests count real
models against it.
"""

from playattention.config import AnyModelConfig, GPT2Config, ModernConfig, TrainConfig


def weights(model: AnyModelConfig) -> dict[str, int]:
    """Return how many weights each part of a model has; a shared one counts once.

    GPT-2's output head is its embedding table, padding rows included; the others' is a matrix of
    its own. The modern model has neither biases nor weights of positions and norms.
    """
    C, L = model.n_embd, model.n_layer
    if isinstance(model, ModernConfig):
        table = model.vocab_size * C
        return {
            "token embedding": table,
            "attention": L * 4 * C * C,
            "feed-forward": L * 8 * C * C,
            "output head": table,
        }
    is_gpt2 = isinstance(model, GPT2Config)
    parts = {
        "token embedding": table_rows(model) * C,
        "position embedding": model.seq_size * C,
        "attention": L * (4 * C * C + (4 * C if is_gpt2 else C)),
        "feed-forward": L * (8 * C * C + 5 * C),
        "norms": (2 * L + 1) * 2 * C,
    }
    if not is_gpt2:
        parts["output head"] = model.vocab_size * C
    return parts


def remembered(model: AnyModelConfig, train: TrainConfig) -> int:
    """Return how many numbers the optimizer remembers: two a weight, one where Muon turns it."""
    turned = 12 * model.n_layer * model.n_embd**2 if train.optimizer == "muon" else 0
    return 2 * sum(weights(model).values()) - turned


def table_rows(model: AnyModelConfig) -> int:
    """Return the rows of the embedding table: the vocabulary, padded where the model does so."""
    return model.padded_vocab_size if isinstance(model, GPT2Config) else model.vocab_size


def multiplied_weights(model: AnyModelConfig) -> int:
    """Return N: the weights that each token is multiplied with.

    The matrices of the blocks and the output head, without padding rows, which do no useful work.
    Not the embeddings, which are looked up (GPT-2's shared table counts once, as the head), nor
    norms and biases, which are under 0.1 % of GPT-2.
    """
    return 12 * model.n_layer * model.n_embd**2 + model.vocab_size * model.n_embd


def flops_per_token(model: AnyModelConfig) -> int:
    """Return the operations for each token of a training step: 6 N + 12 L C T.

    Forward and backward (Chowdhery et al. 2022, PaLM, appendix B; 6 N from Kaplan et al. 2020,
    section 2.1, as in Hoffmann et al. 2022, Chinchilla, appendix F). Attention counts all T x T
    scores, also the half that the mask spares: so do most published MFU figures.
    """
    attention = 12 * model.n_layer * model.n_embd * model.seq_size
    return 6 * multiplied_weights(model) + attention
