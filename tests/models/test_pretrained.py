"""GPT-2's weights in the Hugging Face layout, against `transformers` itself."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
from transformers import GPT2Config as TheirConfig

from playattention import from_pretrained
from playattention.config import GPT2_PRESETS, GPT2Config
from playattention.errors import UserError
from playattention.generation import generate
from playattention.models import pretrained
from playattention.models.model_gpt2 import GPT2Model

ODD = {"vocab_size": 50_257, "n_embd": 60, "n_head": 5, "n_layer": 2, "n_positions": 32}
SMALL = {"vocab_size": 211, "n_embd": 12, "n_head": 3, "n_layer": 2, "n_positions": 16}


def saved(folder: Path, std: float = 0.3, **settings: object) -> GPT2LMHeadModel:
    """Return a Hugging Face GPT-2 with large random weights, which is in the folder, too."""
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(TheirConfig(**settings)).eval()
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=std)
    theirs.save_pretrained(folder)
    return theirs


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_weights(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    path = folder / "model.safetensors"
    save_file({name: value.clone() for name, value in change(load_file(path)).items()}, path)


def assert_same_logits(ours: GPT2Model, theirs: GPT2LMHeadModel) -> None:
    idx = torch.randint(0, ours.config.vocab_size, (2, ours.config.seq_size))
    with torch.no_grad():
        logits, _ = ours(idx)
        expected = theirs(idx).logits
    assert expected.std() > 0.3
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The folder of a small Hugging Face GPT-2."""
    saved(tmp_path / "small", **SMALL)
    return tmp_path / "small"


# What is read.


@pytest.mark.parametrize("vocab_multiple", [1, 128])
@pytest.mark.parametrize("flash_attention", [True, False])
def test_a_gpt2_of_odd_sizes_has_the_same_logits(
    tmp_path: Path, vocab_multiple: int, flash_attention: bool
):
    theirs = saved(tmp_path, std=0.2, **ODD)
    ours = from_pretrained(tmp_path, vocab_multiple=vocab_multiple, flash_attention=flash_attention)
    assert not ours.training
    assert ours.token_embedding.weight.size(0) == (50_304 if vocab_multiple == 128 else 50_257)
    assert ours.config.flash_attention is flash_attention
    assert_same_logits(ours, theirs)


def test_shards_are_read_as_one(tmp_path: Path):
    theirs = saved(tmp_path / "whole", **SMALL)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="8kB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 2
    assert_same_logits(from_pretrained(tmp_path / "shards"), theirs)


def test_names_with_and_without_prefix_and_old_buffers_are_read(small: Path):
    """As in the released files: no prefix, and the causal mask among the weights."""
    theirs = AutoModelForCausalLM.from_pretrained(small)

    def as_released(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        assert all(name.startswith("transformer.") for name in weights)
        masks = {
            f"h.{block}.attn.{name}": value
            for block in range(2)
            for name, value in (
                ("bias", torch.ones(1, 1, 16, 16).tril()),
                ("masked_bias", torch.tensor(-1e4)),
            )
        }
        return masks | {name.removeprefix("transformer."): value for name, value in weights.items()}

    assert_same_logits(from_pretrained(small), theirs)
    change_weights(small, as_released)
    assert_same_logits(from_pretrained(small), theirs)


def test_a_head_that_is_the_embedding_table_is_read(small: Path):
    theirs = AutoModelForCausalLM.from_pretrained(small)
    change_weights(small, lambda w: w | {"lm_head.weight": w["transformer.wte.weight"]})
    assert_same_logits(from_pretrained(small), theirs)


def test_half_precision_becomes_float32(small: Path):
    change_weights(small, lambda w: {name: value.bfloat16() for name, value in w.items()})
    theirs = AutoModelForCausalLM.from_pretrained(small, dtype=torch.float32)
    ours = from_pretrained(small)
    assert {weight.dtype for weight in ours.parameters()} == {torch.float32}
    assert_same_logits(ours, theirs)


def test_what_config_json_leaves_out_is_the_default_of_both(small: Path):
    config = json.loads((small / "config.json").read_text())
    kept = {name: config[name] for name in ("model_type", *SMALL)}
    kept["n_ctx"] = kept.pop("n_positions")  # its older name
    (small / "config.json").write_text(json.dumps(kept))
    assert from_pretrained(small).config.seq_size == 16


def test_the_random_state_stays_as_it_was(small: Path):
    torch.manual_seed(5)
    from_pretrained(small)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))


def test_transformers_is_not_needed(small: Path):
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        f"import playattention; playattention.from_pretrained({str(small)!r})\n"
        "assert 'huggingface_hub' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Padding.


def low_logits(folder: Path) -> None:
    """Weights as the released ones are: the logit of every real token lies far below zero."""
    saved(folder, **SMALL)

    def lowered(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        # A direction that every token's row has, and that the final norm's bias points against.
        weights["transformer.wte.weight"][:, 0] = 3.0
        weights["transformer.ln_f.weight"][0] = 0.0
        weights["transformer.ln_f.bias"][0] = -15.0
        return weights

    change_weights(folder, lowered)


def test_padding_changes_no_loss_no_sample_and_no_export(tmp_path: Path):
    low_logits(tmp_path / "low")
    models = [from_pretrained(tmp_path / "low", vocab_multiple=each) for each in (1, 128)]
    assert [model.token_embedding.weight.size(0) for model in models] == [211, 256]
    idx = torch.randint(0, 211, (4, 16))
    found = []
    for number, model in enumerate(models):
        with torch.no_grad():
            logits, loss = model(idx[:, :-1], idx[:, 1:])
        assert logits.max() < -30
        samples = [
            generate(model, idx[:, :4], 40, temperature=each, generator=torch.manual_seed(1))
            for each in (0, 1)
        ]
        (tmp_path / f"{number}").mkdir()
        pretrained.write(model, tmp_path / f"{number}", None)
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / f"{number}")
        with torch.no_grad():
            found.append((loss, logits, *samples, theirs(idx).logits))
    for plain, padded in zip(*found, strict=True):
        torch.testing.assert_close(plain, padded, rtol=0, atol=1e-5)
    assert torch.equal(found[0][2], found[1][2])
    assert torch.equal(found[0][3], found[1][3])
    files = [(tmp_path / each / "model.safetensors").read_bytes() for each in ("0", "1")]
    assert files[0] == files[1]


def test_padding_rows_are_0_and_stay_so_in_training(small: Path):
    model = from_pretrained(small).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    before = model.token_embedding.weight.detach().clone()
    for _ in range(3):
        idx = torch.randint(0, 211, (4, 16))
        model(idx[:, :-1], idx[:, 1:])[1].backward()
        optimizer.step()
        optimizer.zero_grad()
    after = model.token_embedding.weight
    assert not before[211:].any()
    assert not after[211:].any()
    assert not torch.equal(before[:211], after[:211])


# What is written.


def test_what_is_written_is_what_was_read(small: Path, tmp_path: Path):
    """Weight by weight; the model that comes out is theirs, and its tables are not padded."""
    (tmp_path / "out").mkdir()
    pretrained.write(from_pretrained(small), tmp_path / "out", end_of_text=7)
    mine, other = (load_file(each / "model.safetensors") for each in (tmp_path / "out", small))
    assert mine.keys() == other.keys()
    for name, value in other.items():
        assert torch.equal(mine[name], value)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert isinstance(theirs, GPT2LMHeadModel)
    assert (theirs.config.vocab_size, theirs.config.eos_token_id) == (211, 7)


def test_an_untrained_model_is_written_too(tmp_path: Path):
    torch.manual_seed(0)
    ours = GPT2Model(GPT2Config(n_layer=1, n_head=1, n_embd=8)).eval()
    assert ours.config.padded_vocab_size > ours.config.vocab_size
    pretrained.write(ours, tmp_path, None)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    idx = torch.randint(0, 50_257, (1, 9))
    with torch.no_grad():
        torch.testing.assert_close(ours(idx)[0], theirs(idx).logits, rtol=0, atol=1e-4)


# Mistakes.


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("model_type", "llama", "'gpt2'"),
        ("activation_function", "gelu", "'gelu_new' or 'gelu_pytorch_tanh'"),
        ("layer_norm_epsilon", 1e-6, "1e-05"),
        ("scale_attn_weights", False, "True"),
        ("scale_attn_by_inverse_layer_idx", True, "False"),
        ("add_cross_attention", True, "False"),
        ("tie_word_embeddings", False, "True"),
    ],
)
def test_what_our_model_does_not_compute_is_refused(
    small: Path, field: str, value: object, allowed: str
):
    change_config(small, **{field: value})
    with pytest.raises(UserError) as error:
        from_pretrained(small)
    assert str(error.value) == f"{small}/config.json: {field} = {value!r}; allowed: {allowed}"


def test_another_width_of_the_feed_forward_is_refused(small: Path):
    change_config(small, n_inner=48)
    from_pretrained(small)
    change_config(small, n_inner=24)
    with pytest.raises(UserError, match=r"n_inner = 24; allowed: null, or 4 x n_embd = 48$"):
        from_pretrained(small)


def test_sizes_that_fit_no_model_are_refused(small: Path):
    change_config(small, n_head=5)
    with pytest.raises(UserError, match=r"config\.json: n_embd = 12: must be divisible by n_head"):
        from_pretrained(small)


def test_sizes_of_another_file_are_refused(small: Path):
    change_config(small, n_positions=17)
    with pytest.raises(UserError, match=r"wpe\.weight is \(16, 12\) in torch\.float32; allowed: "):
        from_pretrained(small)


def test_a_head_of_its_own_is_refused(small: Path):
    change_weights(small, lambda w: w | {"lm_head.weight": w["transformer.wte.weight"] + 1})
    with pytest.raises(UserError, match=r"lm_head\.weight is not the embedding table; allowed: "):
        from_pretrained(small)


def test_a_missing_and_an_unknown_weight_are_named(small: Path):
    change_weights(small, lambda w: {k: v for k, v in w.items() if "ln_f" not in k})
    with pytest.raises(UserError, match=r"2 weights are missing, the first: ln_f\.bias$"):
        from_pretrained(small)
    change_weights(small, lambda w: w | {"transformer.h.2.ln_1.bias": torch.zeros(12)})
    with pytest.raises(UserError, match=r"h\.2\.ln_1\.bias is no weight of a GPT-2 of these sizes"):
        from_pretrained(small)


def test_integers_are_no_weights(small: Path):
    change_weights(small, lambda w: {k: v.to(torch.int8) for k, v in w.items()})
    with pytest.raises(UserError, match=r" in torch\.int8; allowed: floating point"):
        from_pretrained(small)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00" * 40])
def test_a_damaged_file_is_named(small: Path, name: str, content: bytes):
    (small / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        from_pretrained(small)
    assert str(error.value).startswith(f"{small / name}: missing or damaged (")
    assert "\n" not in str(error.value)


def test_a_missing_shard_and_a_damaged_index_are_named(tmp_path: Path):
    theirs = saved(tmp_path / "whole", **SMALL)
    folder = tmp_path / "shards"
    theirs.save_pretrained(folder, max_shard_size="8kB")
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(UserError, match=rf"^{shard}: missing or damaged "):
        from_pretrained(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": 3}')
    with pytest.raises(UserError, match=r"index\.json: missing or damaged "):
        from_pretrained(folder)


def test_pickled_weights_are_not_read(small: Path):
    weights = load_file(small / "model.safetensors")
    (small / "model.safetensors").unlink()
    torch.save(weights, small / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickled ones are not read"):
        from_pretrained(small)


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path):
    with pytest.raises(
        UserError,
        match=r"^unknown weights 'gpt2-mediun' \(did you mean 'gpt2-medium'\?\); allowed: gpt2, .*"
        r", a local folder with a config\.json$",
    ):
        from_pretrained("gpt2-mediun")


def test_sizes_can_not_be_overridden(small: Path):
    with pytest.raises(UserError, match=r"^unknown override 'n_layer'; allowed: dropout, flash_"):
        from_pretrained(small, n_layer=1)


# The hub, which is not at hand in a test.


def test_every_released_size_has_a_repository():
    assert set(pretrained.REPOSITORIES) == set(GPT2_PRESETS)


def test_a_name_is_downloaded_once(small: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def hub(repository: str, name: str, *, local_files_only: bool = False) -> str:
        asked.append((repository, name, local_files_only))
        if local_files_only and (repository, name, False) not in asked:
            raise LocalEntryNotFoundError("not here yet")
        return str(small / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda _: None)
    assert from_pretrained("gpt2-large").config.n_embd == 12
    repository, files = "openai-community/gpt2-large", ("config.json", "model.safetensors")
    assert asked == [(repository, name, local) for name in files for local in (True, False)]
    del asked[:]
    asked += [(repository, name, False) for name in files]
    from_pretrained("gpt2-large")
    assert asked[2:] == [(repository, name, True) for name in files]


def test_without_a_network_a_local_folder_is_named_as_the_way(monkeypatch: pytest.MonkeyPatch):
    def asked(url: str) -> None:
        assert url == "https://huggingface.co/openai-community/gpt2/resolve/main/config.json"
        raise ConnectionError("no route to host\nand much more")

    def nothing_kept(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("not here yet")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", nothing_kept)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", asked)
    with pytest.raises(UserError) as error:
        from_pretrained("gpt2")
    assert str(error.value) == (
        "gpt2: openai-community/gpt2/config.json can't be downloaded (no route to host); allowed: "
        "a network, or the path of a local folder with config.json and model.safetensors"
    )
