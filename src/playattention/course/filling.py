"""Look at a learner's modules from outside: weights set by shape, never by name, and facts.

A learner calls the parts of a class as they like, and writes projections fused, apart, or head by
head. So weights are set by what can be seen of them: their shape, and whether they begin at 1 (the
gain of a norm). Tensors that an attribute hides in a list are set too; that an optimizer would not
find them is seen in `count_weights` alone.

Shapes:  B batch    T tokens    C channels (n_embd)    H heads    D head size (C / H)
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

MAKERS = {
    *("arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "tensor"),
    *("as_tensor", "tril_indices", "triu_indices", "zeros"),
}
"""Functions of PyTorch that make a tensor from nothing, on the default device."""

M = TypeVar("M", bound=nn.Module)


def draw(seed: int, *shape: int) -> torch.Tensor:
    """Return numbers from N(0, 1) in float64: for a seed and a shape, always the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draw_ids(seed: int, below: int, *shape: int) -> torch.Tensor:
    """Return token ids from 0 to below - 1: for a seed and a shape, always the same."""
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(seed))


def strided(x: torch.Tensor) -> torch.Tensor:
    """Return x as a part of a larger tensor: the same numbers, not one after another in memory."""
    larger = x.new_zeros([size + 1 for size in x.shape])
    part = larger[tuple(slice(size) for size in x.shape)]
    return part.copy_(x)


def is_untouched(call: Callable[[torch.Tensor], Any], x: torch.Tensor) -> bool:
    """Tell whether a tensor is the same after a call as it was before."""
    given = x.clone()
    call(given)
    return torch.equal(given, x)


def elsewhere(call: Callable[[torch.Tensor], Any], x: torch.Tensor) -> Any:
    """Return what a call gives if x and the weights were on another device than new tensors.

    Raises:
        RuntimeError: Where a tensor that was made without a device meets one of theirs.
    """
    with _Elsewhere():
        return call(x)


class _Elsewhere(TorchFunctionMode):
    """Keeps account of tensors that were made without a device, and does not let them meet others.

    What PyTorch allows is allowed: single numbers, indices, copies, and `to` another device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.strange: dict[int, torch.Tensor] = {}  # held, so that no id is used again

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and mark what it gives."""
        options = kwargs or {}
        result = func(*args, **options)
        name = getattr(func, "__name__", "")
        tensors = [one for one in tree_leaves((args, options)) if isinstance(one, torch.Tensor)]
        large = [one for one in tensors if one.dim()]
        strange = [one for one in large if id(one) in self.strange]
        if name in MAKERS and options.get("device") is None:
            return self._marked(result)
        if name in {"to", "type_as"} and strange:
            moved = len(large) > 1 or any(isinstance(one, torch.device | str) for one in args)
            return result.clone() if moved or "device" in options else self._marked(result)
        if name == "__getitem__":
            return self._marked(result) if strange and large[0] is strange[0] else result
        if strange and len(strange) < len(large) and name not in {"__setitem__", "copy_"}:
            raise RuntimeError("one tensor is on the default device, another is not")
        return self._marked(result) if strange else result

    def _marked(self, result: Any) -> Any:
        for one in tree_leaves(result):
            if isinstance(one, torch.Tensor):
                self.strange[id(one)] = one
        return result


def steady(call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor | str:
    """Return what a call gives, or that it gives something else each time (dropout, left on)."""
    first, *others = (call(x.clone()).detach().clone() for _ in range(3))
    same = all(torch.allclose(first, other, rtol=1e-9, equal_nan=True) for other in others)
    return first if same else "something else in each call"


# Weights.


def every_weight(module: nn.Module) -> Iterator[torch.Tensor]:
    """Yield all tensors of a module that take gradients, once each, in lists and dicts too."""
    seen: set[int] = set()
    waiting: list[Any] = [module]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            if one.requires_grad and one.is_leaf:
                yield one
        elif isinstance(one, nn.Module):
            waiting.append(vars(one))
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)


def is_gain(weight: torch.Tensor) -> bool:
    """Tell whether a weight of a fresh module scales its channels: a vector of ones."""
    return not is_matrix(weight) and bool((weight == 1).all())


def is_matrix(weight: torch.Tensor) -> bool:
    """Tell whether a weight has rows and columns; sizes of 1 do not count."""
    return sum(size > 1 for size in weight.shape) >= 2


def fill(module: M, seed: int, head_size: int = 0, biases: bool = False) -> M:
    """Set the weights of a fresh module so that any right way to write it gives the same output.

    Weights of the same shape get the same values. A matrix whose shape is another's transposed gets
    these values transposed, so it does not matter on which side of its input it stands.

    Args:
        module: Just built; is set to eval.
        seed: Of the values: about N(0, 1) over the square root of the smaller size.
        head_size: D, for attention: all matrices whose sides are multiples of it repeat one
            symmetric (D, D) pattern, so that fused, separate and per-head projections, and any
            order of the parts in a fused one, come to the same.
        biases: Whether biases (vectors that are no gains) get values too; else they become 0, and
            a module without them does the same.
    """
    drawn = (
        draw(seed, head_size, head_size) * 0.15
    )  # scores of about 1: no softmax is a hard choice
    square = drawn + drawn.T
    known: dict[torch.Size, torch.Tensor] = {}
    for weight in every_weight(module):
        if is_matrix(weight):
            if weight.shape not in known:
                known[weight.shape] = _matrix(weight, square, seed)
            _set(weight, known[weight.shape])
        elif is_gain(weight):
            _set(weight, 1 + 0.3 * _vector(weight, seed))
        else:
            _set(weight, _vector(weight, seed) if biases else torch.zeros(()))
    return module.eval()


def fill_with(module: M, pattern: torch.Tensor) -> M:
    """Set all matrices of a fresh module to copies of one pattern; to a number, if it is (1, 1).

    Biases become 0, gains stay 1; the module is set to eval.

    Args:
        module: Just built; the sizes of its matrices are multiples of D.
        pattern: (D, D), symmetric.
    """
    for weight in every_weight(module):
        if is_matrix(weight):
            _set(weight, _matrix(weight, pattern, 0))
        elif not is_gain(weight):
            _set(weight, torch.zeros_like(weight))
    return module.eval()


def scatter(module: M, seed: int) -> M:
    """Set every weight of a module to numbers of its own, for comparing the module with itself.

    Which weight gets which depends on the order in which they were made. Sets it to eval.
    """
    for place, weight in enumerate(every_weight(module)):
        _set(weight, draw(1000 * seed + place, *weight.shape) * 0.3)
    return module.eval()


def _set(weight: torch.Tensor, values: torch.Tensor) -> None:
    with torch.no_grad():
        weight.copy_(values)


def _vector(weight: torch.Tensor, seed: int) -> torch.Tensor:
    """Return values that depend on the seed and the number of elements alone."""
    return draw(1000 * seed + weight.numel(), weight.numel()).view(weight.shape)


def _matrix(weight: torch.Tensor, pattern: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a matrix's values: copies of the pattern if they fit, else its own."""
    shape = [size for size in weight.shape if size > 1]
    side = len(pattern)
    fits = side and shape[-1] % side == 0
    # (C, H, D) is C rows, (H, C, D) is H * C: rows end in a size that the pattern fits.
    split = next((n for n in range(len(shape) - 1, 0, -1) if fits and shape[n - 1] % side == 0), 0)
    if split:
        rows, columns = math.prod(shape[:split]), math.prod(shape[split:])
        return pattern.repeat(rows // side, columns // side).view(weight.shape)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    high, low = max(rows, columns), min(rows, columns)
    values = draw(seed * 1000 + 7 * high + low, high, low) * low**-0.5
    return (values if rows >= columns else values.T).reshape(weight.shape)


# Facts.


def count_weights(module: nn.Module) -> dict[str, int]:
    """Count the numbers of a fresh module that an optimizer gets: in matrices, gains and biases."""
    counts = {"in matrices": 0, "in gains": 0, "in biases": 0}
    for weight in module.parameters():
        kind = "matrices" if is_matrix(weight) else "gains" if is_gain(weight) else "biases"
        counts[f"in {kind}"] += weight.numel()
    return counts


def count_unmoved(module: nn.Module, output: torch.Tensor) -> int:
    """Count the numbers in a module's matrices that its output gives no gradient to.

    Args:
        module: Filled; without gradients yet.
        output: What it gave; any shape.
    """
    torch.autograd.backward((output * draw(99, *output.shape)).sum())
    matrices = [weight for weight in module.parameters() if is_matrix(weight)]
    moved = [int((one.grad != 0).sum()) for one in matrices if one.grad is not None]
    return sum(one.numel() for one in matrices) - sum(moved)


def dependencies(
    call: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    change: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> list[list[int]]:
    """Return for each token of the output the tokens of the input that it depends on.

    Args:
        call: From (B, T, ...) to (B, T, ...); chance in it is begun anew each time.
        x: The input; tokens of the first text are changed, one after the other.
        change: Gives another token in place of one; default: other numbers.
    """

    def again(given: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return call(given.clone()).detach().clone()

    before = again(x)
    seen: list[list[int]] = [[] for _ in range(before.size(1))]
    for token in range(x.size(1)):
        other = x.clone()
        old = x[0, token]
        other[0, token] = change(old) if change else draw(token, *old.shape)
        same = torch.isclose(before, again(other), rtol=0, atol=1e-9, equal_nan=True)
        for out, row in enumerate(seen):
            if not same[0, out].all():
                row.append(token)
    return seen


def tell_dependencies(got: Any, wanted: Any) -> str:
    """Put the first difference of two results of `dependencies` into words."""
    if not (isinstance(got, list) and isinstance(wanted, list) and len(got) == len(wanted)):
        return f"{got} instead of {wanted}"
    out = next(out for out, row in enumerate(got) if row != wanted[out])
    return f"token {out} depends on {_tokens(got[out])}; right is: on {_tokens(wanted[out])}"


def _tokens(places: list[int]) -> str:
    return f"the tokens {', '.join(map(str, places))}" if places else "none"
