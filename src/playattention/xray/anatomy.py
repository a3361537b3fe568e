"""Where the parts of a model are, asked of its structure, and what goes through them in a pass.

    token_embedding, embedding_norm or position_embedding (if any), final_norm
    head (else the embedding is tied)
    blocks.{l}.attention.projection, blocks.{l}.feed_forward (its last layer: contract)

Knows no model: any with modules of these names will do, a subclass or an edited copy as well.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from playattention.errors import UserError
from playattention.generation import evaluation_mode
from playattention.xray.checks import check_tokens, refuse_wrapped


@dataclass(frozen=True, eq=False)
class Block:
    """One block's parts; weights are the model's own."""

    path: str
    """Dotted path of the block."""
    n_head: int
    """Attention heads, whose results stand side by side in the projection's input."""
    projection: torch.Tensor
    """Weight of the output projection (C, H D)."""
    projection_bias: torch.Tensor | None
    """Its bias (C)."""
    contract_bias: torch.Tensor | None
    """Bias of the feed-forward's last layer (C)."""

    @property
    def attention(self) -> str:
        """Dotted path of the attention module."""
        return f"{self.path}.attention"

    @property
    def feed_forward(self) -> str:
        """Dotted path of the feed-forward."""
        return f"{self.path}.feed_forward"


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A model's parts; weights are the model's own."""

    embeddings: dict[str, str]
    """`token_embedding` and, where there is one, `position_embedding` -> whose output it adds:
    its own, or that of the norm which the tokens pass before they are the stream."""
    blocks: tuple[Block, ...]
    """In the order of their numbers."""
    final_norm: nn.Module
    """What the stream goes through before the head."""
    unembedding: torch.Tensor
    """A row for each token, padding rows included: the head's, or the tied embedding's (P, C)."""
    unembedding_bias: torch.Tensor | None
    """The head's bias (P)."""

    @property
    def paths(self) -> list[str]:
        """Dotted paths of all that adds to the stream, and of the final norm."""
        inner = [
            path
            for block in self.blocks
            for path in (block.path, f"{block.attention}.projection", block.feed_forward)
        ]
        return [*self.embeddings.values(), *inner, "final_norm"]


@dataclass(frozen=True, eq=False)
class Passed:
    """What went through a model's parts."""

    inputs: dict[str, torch.Tensor]
    """Dotted path -> what the module was given first."""
    outputs: dict[str, torch.Tensor]
    """Dotted path -> what it returned."""
    logits: torch.Tensor
    """What the model returned (B, T, V)."""


def anatomy(model: nn.Module) -> Anatomy:
    """Return where a model's parts are.

    Args:
        model: Any with modules of the names above.

    Raises:
        UserError: If it has not these modules, or is compiled or wrapped.
    """
    refuse_wrapped(model)
    modules = dict(model.named_modules())
    weights = dict(model.named_parameters(remove_duplicate=False))
    paths = [f"blocks.{number}" for number in range(_count(modules.get("blocks")))]
    needed = ["token_embedding", "blocks", "final_norm"]
    for path in paths:
        needed += [f"{path}.attention.projection.weight", f"{path}.feed_forward"]
    unembedding = "head" if "head" in modules else "token_embedding"
    needed.append(f"{unembedding}.weight")
    missing = [name for name in needed if name not in modules and name not in weights]
    if missing:
        raise UserError(
            f"model = {type(model).__name__}: has no {missing[0]!r}; allowed: a model with "
            "token_embedding, blocks.{l}.attention.projection, blocks.{l}.feed_forward, final_norm"
        )
    return Anatomy(
        embeddings=_embeddings(modules),
        blocks=tuple(_block(model, path, modules, weights) for path in paths),
        final_norm=modules["final_norm"],
        unembedding=weights[f"{unembedding}.weight"].detach(),
        unembedding_bias=_bias(weights, unembedding),
    )


def passed(model: nn.Module, idx: torch.Tensor, paths: Sequence[str]) -> Passed:
    """Run a model in evaluation mode and return what went in and out of some of its modules.

    Args:
        model: Left in the mode it was in.
        idx: Token ids (B, T).
        paths: Dotted paths of the modules.

    Raises:
        UserError: If the tokens do not fit the model, or one of the modules was not called.
    """
    inputs: dict[str, torch.Tensor] = {}
    outputs: dict[str, torch.Tensor] = {}

    def keep(path: str, given: torch.Tensor, returned: torch.Tensor) -> None:
        inputs[path], outputs[path] = given, returned

    with ExitStack() as hooks:
        for path in paths:
            hooks.enter_context(_told(model.get_submodule(path), path, keep))
        logits = own_logits(model, idx)
    for path in paths:
        if path not in outputs:
            raise UserError(
                f"model = {type(model).__name__}: its module {path!r} was not called in the "
                "forward pass; allowed: a model that calls it"
            )
    return Passed(inputs, outputs, logits)


def own_logits(model: nn.Module, idx: torch.Tensor) -> torch.Tensor:
    """Return a model's logits (B, T, V) in evaluation mode.

    Args:
        model: Left in the mode it was in.
        idx: Token ids (B, T).

    Raises:
        UserError: If the tokens do not fit the model.
    """
    check_tokens(model, idx, None)
    with evaluation_mode(model):
        return first_tensor(model(idx))


def first_tensor(found: Any) -> torch.Tensor:
    """Return a tensor, or the first of a tuple: (logits, loss) -> logits."""
    tensor: torch.Tensor = found[0] if isinstance(found, tuple | list) else found
    return tensor


def _count(blocks: nn.Module | None) -> int:
    return len(blocks) if isinstance(blocks, nn.ModuleList | nn.Sequential) else 0


def _embeddings(modules: dict[str, nn.Module]) -> dict[str, str]:
    """Return what the stream begins with."""
    if "embedding_norm" in modules:
        return {"token_embedding": "embedding_norm"}
    return {name: name for name in ("token_embedding", "position_embedding") if name in modules}


def _block(
    model: nn.Module,
    path: str,
    modules: dict[str, nn.Module],
    weights: dict[str, nn.Parameter],
) -> Block:
    projection = weights[f"{path}.attention.projection.weight"].detach()
    heads = modules.get(f"{path}.attention.heads")
    config = getattr(model, "config", None)
    n_head = _count(heads) or getattr(config, "n_head", 1)
    if projection.size(1) % n_head:
        raise UserError(
            f"n_head = {n_head}: does not divide the {projection.size(1)} inputs of "
            f"{path}.attention.projection; allowed: heads of one size, side by side"
        )
    return Block(
        path,
        n_head,
        projection,
        _bias(weights, f"{path}.attention.projection"),
        _bias(weights, f"{path}.feed_forward.contract"),
    )


def _bias(weights: dict[str, nn.Parameter], path: str) -> torch.Tensor | None:
    bias = weights.get(f"{path}.bias")
    return None if bias is None else bias.detach()


@contextmanager
def _told(module: nn.Module, path: str, keep: Any) -> Iterator[None]:
    """Call `keep` with a path and what goes in and out of the module there."""

    def hook(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any], returned: Any) -> None:
        keep(path, next(iter((*given, *named.values()))), first_tensor(returned))

    handle = module.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
