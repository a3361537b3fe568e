"""GPT-2's weights in the Hugging Face layout: read into a model, and written from one.

The one file that knows the names of GPT-2's checkpoints (`h.0.attn.c_attn`). `transformers` is not
needed, and for a local folder no network. Does not know tokenizers or runs.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from playattention.config import GPT2_PRESETS, GPT2Config
from playattention.errors import UserError, unknown
from playattention.models.model_gpt2 import GPT2Model

REPOSITORIES = {name: f"openai-community/{name}" for name in GPT2_PRESETS}
"""Where the released weights are, at huggingface.co."""

NAMES = {
    "token_embedding": "wte",
    "position_embedding": "wpe",
    "final_norm": "ln_f",
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.expand": "mlp.c_fc",
    "feed_forward.contract": "mlp.c_proj",
}
"""Our modules and theirs; those of a block stand below `blocks.0` here and `h.0` there."""

SIZES = {
    "vocab_size": "vocab_size",
    "seq_size": "n_positions",
    "n_embd": "n_embd",
    "n_head": "n_head",
    "n_layer": "n_layer",
}
"""Our settings and theirs; the defaults are the same."""

MUST_BE: dict[str, list[Any]] = {
    "model_type": ["gpt2"],
    # Two names of one formula, the tanh form.
    "activation_function": ["gelu_new", "gelu_pytorch_tanh"],
    "layer_norm_epsilon": [1e-5],
    "scale_attn_weights": [True],
    "scale_attn_by_inverse_layer_idx": [False],
    "add_cross_attention": [False],
    "tie_word_embeddings": [True],
}
"""What our model has no setting for; the first is their default.

`reorder_and_upcast_attn` changes nothing in float32, and their dropouts nothing in the weights.
"""

OVERRIDES = ("dropout", "flash_attention", "vocab_multiple")
"""Settings that leave the logits as they are."""

_BUFFER = re.compile(r"h\.\d+\.attn\.(masked_)?bias")
_HEAD = "lm_head.weight"


def from_pretrained(source: str | Path, **overrides: Any) -> GPT2Model:
    """Return GPT-2 with released weights, in evaluation mode.

    Args:
        source: "gpt2" (124M), "gpt2-medium" (355M), "gpt2-large" (774M) or "gpt2-xl" (1.6B), which
            are downloaded once; or a local folder with config.json and model.safetensors (or its
            shards and model.safetensors.index.json), as `save_pretrained` writes it.
        overrides: dropout (default: 0), flash_attention, vocab_multiple.

    Raises:
        UserError: If there is no such source, no network, or the weights are not those of a GPT-2
            as our model computes it.
    """
    config = read_config(source, **overrides)
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are all replaced
        model = GPT2Model(config)
    load_weights(source, model)
    return model.eval()


def is_hugging_face(folder: str | Path) -> bool:
    """Tell whether a folder's config.json is one of the Hugging Face layout, of whatever model."""
    try:
        return "model_type" in json.loads((Path(folder) / "config.json").read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def read_config(source: str | Path, **overrides: Any) -> GPT2Config:
    """Return the sizes of released weights; args, errors: as in `from_pretrained`."""
    for name in overrides:
        if name not in OVERRIDES:
            raise unknown("override", name, OVERRIDES)
    path = _file(source, "config.json")
    try:
        stored: dict[str, Any] = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: missing or damaged ({error})") from None
    stored.setdefault("n_positions", stored.get("n_ctx", GPT2Config().seq_size))
    for name, allowed in MUST_BE.items():
        value = stored.get(name, None if name == "model_type" else allowed[0])
        if value not in allowed:
            raise UserError(
                f"{path}: {name} = {value!r}; allowed: {' or '.join(map(repr, allowed))}"
            )
    sizes = {ours: stored[theirs] for ours, theirs in SIZES.items() if theirs in stored}
    try:
        config = GPT2Config(**sizes, **overrides)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if stored.get("n_inner") not in (None, 4 * config.n_embd):
        raise UserError(
            f"{path}: n_inner = {stored['n_inner']}; allowed: null, or 4 x n_embd = "
            f"{4 * config.n_embd}"
        )
    return config


@torch.no_grad()
def load_weights(source: str | Path, model: GPT2Model) -> None:
    """Copy released weights into a model of their sizes.

    The padding rows of its embedding table become 0: no text has their ids, the model leaves their
    logits out, so no gradient reaches them, and decay keeps 0 at 0.

    Raises:
        UserError: If a file is missing or damaged, or a weight missing, unknown or of another size.
    """
    rows = model.config.vocab_size
    model.token_embedding.weight[rows:].zero_()
    waiting: dict[str, torch.Tensor] = {
        _their_name(name): weight for name, weight in model.named_parameters()
    }
    waiting["wte.weight"] = model.token_embedding.weight[:rows]
    head = None
    for path, name, stored in _tensors(source):
        if name == _HEAD:
            head = stored
            continue
        if name not in waiting:
            raise UserError(
                f"{path}: {name} is no weight of a GPT-2 of these sizes, or comes twice"
            )
        turned = stored.T if _is_turned(name) else stored
        target = waiting.pop(name)
        if turned.shape != target.shape or not stored.is_floating_point():
            raise UserError(
                f"{path}: {name} is {tuple(stored.shape)} in {stored.dtype}; allowed: floating "
                f"point, of the sizes that config.json tells"
            )
        target.copy_(turned)
    if waiting:
        raise UserError(f"{source}: {len(waiting)} weights are missing, the first: {min(waiting)}")
    embedding = model.token_embedding.weight[:rows]
    if head is not None and not torch.equal(head.to(embedding.dtype), embedding):
        raise UserError(f"{source}: {_HEAD} is not the embedding table; allowed: tied weights")


def write(model: GPT2Model, folder: Path, end_of_text: int | None) -> None:
    """Write a model as `transformers` reads it: config.json and model.safetensors.

    The padding rows of its embedding table are left out.

    Args:
        model: The model.
        folder: Where both files go; it exists.
        end_of_text: The token that ends a text; None: there is none.
    """
    config = model.config
    described = {
        "architectures": ["GPT2LMHeadModel"],
        **{theirs: getattr(config, ours) for ours, theirs in SIZES.items()},
        **{name: values[0] for name, values in MUST_BE.items()},
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), config.dropout),
        **dict.fromkeys(("bos_token_id", "eos_token_id"), end_of_text),
        "initializer_range": 0.02,
        "use_cache": True,
        "dtype": "float32",
        "torch_dtype": "float32",  # the name before transformers 5
    }
    (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    weights = {}
    for name, weight in model.named_parameters():
        theirs = _their_name(name)
        kept = weight.detach()[: config.vocab_size] if theirs == "wte.weight" else weight.detach()
        turned = kept.T if _is_turned(theirs) else kept
        # Copied: a part of a table would otherwise take the whole of it along.
        weights[f"transformer.{theirs}"] = (
            turned.float().cpu().clone(memory_format=torch.contiguous_format)
        )
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _their_name(ours: str) -> str:
    module, _, part = ours.rpartition(".")
    block = re.fullmatch(r"blocks\.(\d+)\.(.+)", module)
    if block:
        return f"h.{block[1]}.{NAMES[block[2]]}.{part}"
    return f"{NAMES[module]}.{part}"


def _is_turned(theirs: str) -> bool:
    """Tell a matrix of their Conv1D, kept (inputs, outputs) where torch's Linear is turned."""
    return bool(re.search(r"\.c_\w+\.weight$", theirs))


def _tensors(source: str | Path) -> Iterator[tuple[Path, str, torch.Tensor]]:
    """Yield the file, the name without prefix and the value of each weight, one at a time."""
    for path in _weight_files(source):
        try:
            with safe_open(path, framework="pt") as stored:
                for full_name in stored.keys():  # noqa: SIM118 - it is no dictionary
                    name = full_name.removeprefix("transformer.")
                    if not _BUFFER.fullmatch(name):  # the causal mask, in files of earlier years
                        yield path, name, stored.get_tensor(full_name)
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{path}: missing or damaged ({' '.join(str(error).split())})"
            ) from None


def _weight_files(source: str | Path) -> list[Path]:
    if source in REPOSITORIES:
        return [_file(source, "model.safetensors")]
    folder = Path(source)
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if not index.is_file():
        raise UserError(
            f"{folder}: holds neither {whole.name} nor {index.name}; allowed: weights as "
            "save_pretrained writes them (pickled ones are not read)"
        )
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        return [folder / Path(name).name for name in names]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{index}: missing or damaged ({error})") from None


def _file(source: str | Path, name: str) -> Path:
    """Return where a file of released weights is, after a download if it is not here yet."""
    if source not in REPOSITORIES:
        path = Path(source) / name
        if not path.is_file():
            raise unknown("weights", str(source), [*REPOSITORIES, f"a local folder with a {name}"])
        return path
    import huggingface_hub as hub  # noqa: PLC0415 - only who downloads waits for it
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415 - the same

    repository = REPOSITORIES[str(source)]
    try:
        return Path(hub.hf_hub_download(repository, name, local_files_only=True))
    except LocalEntryNotFoundError:
        pass  # not downloaded yet
    try:
        # Asked once: the download itself tries for half a minute where there is no network.
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, name))
        return Path(hub.hf_hub_download(repository, name))
    except Exception as error:  # of sockets, of the HTTP client, of the hub: many families
        raise UserError(
            f"{source}: {repository}/{name} can't be downloaded "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}); allowed: a "
            "network, or the path of a local folder with config.json and model.safetensors"
        ) from None
