"""Every value of a forward pass by plain float64 arithmetic, from the weights and the papers.

No model of the package runs here, and no torch: numpy alone.
"""

from collections.abc import Callable, Iterator

import numpy as np

Weights = dict[str, np.ndarray]
Values = dict[tuple[str, str, int], np.ndarray]
"""Module, name, occurrence -> value."""


def norm(weights: Weights, path: str, x: np.ndarray) -> np.ndarray:
    """Layer norm (Ba et al. 2016), eps 1e-5."""
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{path}.weight"] + weights[f"{path}.bias"]


def rms_norm(x: np.ndarray) -> np.ndarray:
    """Root mean square norm without weights (Zhang and Sennrich 2019), eps that of float32."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + np.finfo(np.float32).eps)


def any_norm(weights: Weights, path: str, x: np.ndarray) -> np.ndarray:
    """The norm of a model: with weights a layer norm, else by the root mean square."""
    return norm(weights, path, x) if f"{path}.weight" in weights else rms_norm(x)


def linear(weights: Weights, path: str, x: np.ndarray) -> np.ndarray:
    """A matrix product, and the bias where there is one."""
    return x @ weights[f"{path}.weight"].T + weights.get(f"{path}.bias", 0.0)


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> dict[str, np.ndarray]:
    """Causal attention over the last two axes (Vaswani et al. 2017, 3.2.1), step by step."""
    tokens, head_size = query.shape[-2:]
    scores = np.einsum("...td,...sd->...ts", query, key)
    scaled = scores / np.sqrt(head_size)
    later = np.arange(tokens)[None, :] > np.arange(tokens)[:, None]
    masked = np.where(later, -np.inf, scaled)
    exponentials = np.exp(masked - masked.max(-1, keepdims=True))
    weights = exponentials / exponentials.sum(-1, keepdims=True)
    mixed = np.einsum("...ts,...sd->...td", weights, value)
    return {
        "query": query,
        "key": key,
        "value": value,
        "keys": key,
        "values": value,
        "scores": scores,
        "scaled": scaled,
        "masked": masked,
        "weights": weights,
        "dropped": weights,
        "mixed": mixed,
    }


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean over the positions that count."""
    top = logits.max(-1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    counted = targets >= 0
    chosen = np.take_along_axis(logs, np.maximum(targets, 0)[..., None], -1)[..., 0]
    return -(chosen * counted).sum() / counted.sum()


def gelu(x: np.ndarray) -> np.ndarray:
    """The tanh form that GPT-2 uses (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def relu_squared(x: np.ndarray) -> np.ndarray:
    """So et al. 2021."""
    return np.maximum(x, 0) ** 2


def _gpt_attention(weights: Weights, path: str, x: np.ndarray, n_head: int) -> Iterator:
    mixed = []
    for head in range(n_head):
        own = f"{path}.heads.{head}"
        parts = [linear(weights, f"{own}.{part}", x) for part in ("query", "key", "value")]
        values = attention(*parts)
        yield from ((own, name, value) for name, value in values.items())
        yield own, "return", values["mixed"]
        mixed.append(values["mixed"])
    yield from ((path, f"mixed[{place}]", value) for place, value in enumerate(mixed))
    yield path, "joined", np.concatenate(mixed, -1)


def _gpt2_attention(weights: Weights, path: str, x: np.ndarray, n_head: int) -> Iterator:
    batch, tokens, channels = x.shape
    fused = linear(weights, f"{path}.query_key_value", x)
    yield path, "fused", fused
    parts = [
        part.reshape(batch, tokens, n_head, -1).transpose(0, 2, 1, 3)
        for part in np.split(fused, 3, -1)
    ]
    yield from ((path, "return", part) for part in parts)  # of _split
    values = attention(*parts)
    yield from ((path, name, value) for name, value in values.items())
    yield path, "return", values["mixed"]  # of _attend
    yield path, "mixed", values["mixed"]
    yield path, "joined", values["mixed"].transpose(0, 2, 1, 3).reshape(batch, tokens, channels)


def _modern_attention(weights: Weights, path: str, x: np.ndarray, n_head: int) -> Iterator:
    batch, tokens, channels = x.shape
    fused = linear(weights, f"{path}.query_key_value", x)
    yield path, "fused", fused
    query, key, value = (
        part.reshape(batch, tokens, n_head, -1).transpose(0, 2, 1, 3)
        for part in np.split(fused, 3, -1)
    )
    parts = {"query": query, "key": key, "value": value}
    yield from ((path, "return", part) for part in parts.values())  # of _split
    yield from ((path, name, part) for name, part in parts.items())
    turned = []
    for name, part in (("query", query), ("key", key)):
        yield path, f"{name}_normed", rms_norm(part)
        yield from turn(f"{path}.rotation", rms_norm(part), turned)
        yield path, f"{name}_turned", turned[-1]
    values = attention(*turned, value)
    yield from ((path, name, part) for name, part in values.items() if name not in parts)
    yield path, "return", values["mixed"]  # of _attend
    yield path, "mixed", values["mixed"]
    yield path, "joined", values["mixed"].transpose(0, 2, 1, 3).reshape(batch, tokens, channels)


def turn(path: str, x: np.ndarray, into: list[np.ndarray]) -> Iterator:
    """Rotary positions as complex numbers (Su et al. 2021, 3.2.1): each pair times e^(i t w)."""
    tokens, head_size = x.shape[-2:]
    half = head_size // 2
    speeds = 10_000.0 ** (-2 * np.arange(half) / head_size)
    turns = np.exp(1j * np.arange(tokens)[:, None] * speeds)
    pairs = (x[..., :half] + 1j * x[..., half:]) * turns
    into.append(np.concatenate([pairs.real, pairs.imag], -1))
    yield path, "cosine", turns.real
    yield path, "sine", turns.imag
    yield path, "first", x[..., :half]
    yield path, "second", x[..., half:]
    yield path, "first_turned", pairs.real
    yield path, "second_turned", pairs.imag
    yield path, "return", into[-1]


def _start(weights: Weights, idx: np.ndarray) -> Iterator:
    """From token ids to the stream; the last is `embedded`."""
    token = weights["token_embedding.weight"][idx]
    table = weights.get("position_embedding.weight")
    if table is None:
        yield "", "token_embedded", token
        yield "", "embedded", rms_norm(token)
        return
    positions = np.arange(idx.shape[1])
    yield "", "positions", positions
    yield "", "token_embedded", token
    yield "", "position_embedded", table[positions]
    yield "", "embedded", token + table[positions]


def _values(
    weights: Weights,
    idx: np.ndarray,
    targets: np.ndarray,
    sizes: dict[str, int],
    kind: tuple[Callable[..., Iterator], Callable[[np.ndarray], np.ndarray]],
) -> Iterator[tuple[str, str, np.ndarray]]:
    attend, activate = kind
    start = list(_start(weights, idx))
    yield from start
    x = start[-1][2]
    yield "", "x", x
    for layer in range(sizes["n_layer"]):
        path = f"blocks.{layer}"
        normed = any_norm(weights, f"{path}.attention_norm", x)
        yield path, "attention_input", normed
        for inner, name, value in attend(weights, f"{path}.attention", normed, sizes["n_head"]):
            yield inner, name, value
        projected = linear(weights, f"{path}.attention.projection", value)  # of the last: joined
        yield f"{path}.attention", "projected", projected
        yield f"{path}.attention", "return", projected
        yield path, "attended", projected
        x = x + projected
        yield path, "x_attended", x
        normed = any_norm(weights, f"{path}.feed_forward_norm", x)
        yield path, "feed_forward_input", normed
        hidden = linear(weights, f"{path}.feed_forward.expand", normed)
        yield f"{path}.feed_forward", "hidden", hidden
        if activate is relu_squared:
            yield f"{path}.feed_forward", "rectified", np.maximum(hidden, 0)
        yield f"{path}.feed_forward", "activated", activate(hidden)
        contracted = linear(weights, f"{path}.feed_forward.contract", activate(hidden))
        yield f"{path}.feed_forward", "contracted", contracted
        yield f"{path}.feed_forward", "return", contracted
        yield path, "computed", contracted
        x = x + contracted
        yield path, "return", x
        yield "", "x", x
    normed = any_norm(weights, "final_norm", x)
    yield "", "normed", normed
    table = weights.get("head.weight")
    if table is None:
        table = weights["token_embedding.weight"]
        yield "", "padded_logits", normed @ table.T
    logits = (normed @ table.T)[..., : sizes["vocab_size"]]
    yield "", "logits", logits
    loss = cross_entropy(logits, targets)
    yield "", "loss", loss
    yield "", "return[0]", logits
    yield "", "return[1]", loss


MODELS = {
    "gpt": (_gpt_attention, lambda x: np.maximum(x, 0)),
    "gpt2": (_gpt2_attention, gelu),
    "modern": (_modern_attention, relu_squared),
}
"""A model that is not in here has no truth, and its test fails."""


def values(
    name: str, weights: Weights, idx: np.ndarray, targets: np.ndarray, sizes: dict[str, int]
) -> Values:
    """Return every value of a registered model, in the order in which it comes to be."""
    found: Values = {}
    times: dict[tuple[str, str], int] = {}
    doubles = {key: weight.astype(np.float64) for key, weight in weights.items()}
    for module, variable, value in _values(doubles, idx, targets, sizes, MODELS[name]):
        times[module, variable] = times.get((module, variable), -1) + 1
        found[module, variable, times[module, variable]] = np.asarray(value, np.float64)
    return found
