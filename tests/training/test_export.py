"""A run as `transformers` reads it: same logits, same ids, same text."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as TheirTokenizer
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Tokenizer, PreTrainedTokenizerFast

from playattention import from_pretrained
from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.models import build_model
from playattention.tokenizers import tokenizer_class
from playattention.training.export import export
from playattention.training.run import Run

VARIED = [
    "Hello world",
    " two  spaces   and three",
    "tabs\tand\nlines\n\n\r\nand more\n",
    "I'm, you're, we'll; it's 3.14159 and 1,000,000!",
    "naïve café, Straße, größer, Ελληνικά, кириллица, עברית, العربية",
    "漢字とかな, 한국어, ไทย",
    "🙂🏳️‍🌈👩‍👩‍👧 ﬁ ﬆ e\u0301 \u200b\u2028\u00a0\ufeff",
    "def f(x):\n    return x ** 2  # done",
    "a" * 50 + "!" * 50,
    "",
]
CHARACTERS = "\n\r\t abcé🙂'<|>\u0301ß漢"


def a_run(name: str, **sizes: int) -> Run:
    """Return a run of GPT-2 with large weights, as generation leaves them in memory."""
    tokenizer = tokenizer_class(name).for_text(CHARACTERS)
    model = {"n_layer": 2, "n_head": 5, "n_embd": 60, "seq_size": 32, **sizes}
    config = RunConfig(model={"name": "gpt2", "vocab_size": tokenizer.vocab_size, **model})
    torch.manual_seed(0)
    built = build_model(config.model).eval()
    for weight in built.parameters():
        nn.init.normal_(weight, std=0.2)
    return Run(Path("logs/mine"), config, tokenizer, built, 7)


@pytest.fixture(scope="module", params=["gpt2", "char"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A run of each tokenizer and the folder that it was written to."""
    run, folder = a_run(request.param), tmp_path_factory.mktemp(request.param) / "out"
    export(run, folder)
    return run, folder


def test_the_model_that_transformers_loads_has_the_same_logits(exported: tuple[Run, Path]):
    run, folder = exported
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    vocab_size = run.tokenizer.vocab_size
    assert run.model.token_embedding.weight.size(0) > vocab_size
    assert theirs.get_input_embeddings().weight.shape == (vocab_size, 60)
    idx = torch.randint(0, vocab_size, (3, 32))
    with torch.no_grad():
        expected, _ = run.model(idx)
        logits = theirs(idx).logits
    assert expected.std() > 0.3
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


def test_a_model_laid_out_for_generation_is_written_as_it_was(tmp_path: Path):
    from playattention.models.single_tokens import lay_out_for_generation

    run = a_run("char")
    export(run, tmp_path / "before")
    lay_out_for_generation(run.model)
    assert not run.model.token_embedding.weight.is_contiguous()
    export(run, tmp_path / "after")
    before, after = (tmp_path / each / "model.safetensors" for each in ("before", "after"))
    assert before.read_bytes() == after.read_bytes()


def test_what_was_exported_can_be_read_back(exported: tuple[Run, Path]):
    run, folder = exported
    again = from_pretrained(folder)
    for name, value in run.model.state_dict().items():
        rows = run.tokenizer.vocab_size if name == "token_embedding.weight" else None
        assert torch.equal(again.state_dict()[name][:rows], value[:rows])


def known(run: Run, text: str) -> str:
    """Return the part of a text that a run's tokenizer knows."""
    if run.tokenizer.name == "gpt2":
        return text
    return "".join(each for each in text if each in CHARACTERS)


def test_the_tokenizer_that_transformers_loads_has_the_same_ids(exported: tuple[Run, Path]):
    run, folder = exported
    theirs = AutoTokenizer.from_pretrained(folder)
    assert len(theirs) == run.tokenizer.vocab_size
    assert theirs.model_max_length == 32
    for text in [*VARIED, CHARACTERS * 3, " ".join(VARIED)]:
        mine = known(run, text)
        ids = run.tokenizer.encode(mine)
        assert theirs(mine)["input_ids"] == ids
        assert theirs.decode(ids) == mine


def test_the_ids_are_the_same_for_any_text(exported: tuple[Run, Path]):
    run, folder = exported
    theirs = AutoTokenizer.from_pretrained(folder)
    alphabet = st.characters(codec="utf-8") if run.tokenizer.name == "gpt2" else CHARACTERS

    @settings(max_examples=200, deadline=None, database=None)
    @given(st.text(alphabet))
    def holds(text: str) -> None:
        if "<|endoftext|>" not in text:
            assert theirs(text)["input_ids"] == run.tokenizer.encode(text)

    holds()


def test_each_of_its_files_alone_gives_the_same_ids(tmp_path: Path):
    """The pair of earlier years, and the one file of the library `tokenizers`."""
    run = a_run("gpt2", n_layer=1, n_head=1, n_embd=4)
    export(run, tmp_path / "out")
    alone = TheirTokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    (tmp_path / "out" / "tokenizer.json").unlink()
    pair = GPT2Tokenizer.from_pretrained(tmp_path / "out")
    for text in VARIED:
        ids = run.tokenizer.encode(text)
        assert alone.encode(text).ids == ids
        assert alone.decode(ids) == text
        assert pair(text)["input_ids"] == ids


def test_end_of_text_is_known_where_the_tokenizer_has_it(exported: tuple[Run, Path]):
    run, folder = exported
    theirs = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    end = 50_256 if run.tokenizer.name == "gpt2" else None
    assert theirs.eos_token_id == end
    assert model.config.eos_token_id == end
    assert model.config.bos_token_id == end
    assert model.generation_config.eos_token_id == end
    if end is not None:
        assert theirs("a<|endoftext|>b")["input_ids"] == [64, end, 65]


def test_an_unknown_character_is_an_error_there_too(tmp_path: Path):
    run = a_run("char")
    export(run, tmp_path / "out")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert isinstance(theirs, PreTrainedTokenizerFast)
    with pytest.raises(Exception, match=r"WordLevel error: Missing \[UNK\] token"):
        theirs("Q")


def test_transformers_generates_what_we_generate(exported: tuple[Run, Path]):
    """The likeliest tokens, each from the ones before."""
    from playattention.generation import generate

    run, folder = exported
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    prompt = torch.tensor([run.tokenizer.encode("abc")])
    expected = generate(run.model, prompt, 12, temperature=0)
    found = theirs.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert torch.equal(found, expected)


# The folder.


def test_an_empty_folder_is_taken_and_a_full_one_is_not(tmp_path: Path):
    run, folder = a_run("char"), tmp_path / "out"
    folder.mkdir()
    export(run, folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    with pytest.raises(UserError, match=r"^.*out: is not empty; allowed: a new folder, or an "):
        export(run, folder)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file: is not empty"):
        export(run, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("playattention.training.export.write_tokenizer", full)
    with pytest.raises(UserError, match=r"out: cannot be written \(No space left on device\)$"):
        export(a_run("char"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_gpt_is_refused(tmp_path: Path):
    run = a_run("char")
    config = RunConfig(model={"name": "gpt", "vocab_size": 9})
    other = Run(run.path, config, run.tokenizer, build_model(config.model), 0)
    with pytest.raises(UserError) as error:
        export(other, tmp_path / "out")
    assert str(error.value) == (
        "logs/mine: a run of gpt, whose model no other program knows; allowed: a run of gpt2"
    )
    assert not (tmp_path / "out").exists()


def test_config_json_tells_the_sizes_by_their_names(tmp_path: Path):
    export(a_run("char"), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    shutil.rmtree(tmp_path / "out")
    assert {
        name: config[name] for name in ("model_type", "n_positions", "n_embd", "n_head", "n_layer")
    } == {"model_type": "gpt2", "n_positions": 32, "n_embd": 60, "n_head": 5, "n_layer": 2}
