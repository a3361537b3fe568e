"""`playattention generate`: what a trained model writes."""

import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from playattention.cli import main
from playattention.config import RunConfig
from playattention.generation import Step
from playattention.training.loop import train
from playattention.training.run import load_run
from tests.conftest import TEXT


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other take longer than sums this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(folder: Path, tokenizer: str) -> str:
    """Return the path of a run that has learnt a little; no test writes to it."""
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    config = RunConfig(
        model={"name": "gpt", "n_layer": 1, "n_head": 2, "n_embd": 8, "seq_size": 8},
        data={"dataset": str(folder / "text.txt"), "tokenizer": tokenizer},
        train={
            "steps": 2,
            "batch_size": 2,
            "learning_rate": 0.1,
            "warmup_steps": 0,
            "eval_every": 1,
            "sample_tokens": 0,
            "device": "cpu",
            "threads": 1,
        },
    )
    return str(train(config, str(folder / "run"), quiet=True))


@pytest.fixture(scope="module")
def char_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run where each token is a letter."""
    return trained(tmp_path_factory.mktemp("char"), "char")


@pytest.fixture(scope="module")
def gpt2_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run on GPT-2's tokens, which are words and parts of characters."""
    return trained(tmp_path_factory.mktemp("gpt2"), "gpt2")


@pytest.fixture(params=["char_run", "gpt2_run"])
def run(request: pytest.FixtureRequest) -> str:
    """A run of each tokenizer."""
    return request.getfixturevalue(request.param)


def written(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return what generate prints."""
    assert main(["generate", *map(str, words), "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def test_the_prompt_stands_before_what_the_model_adds(char_run: str, capsys):
    text = written(capsys, char_run, "The lamp", "--tokens", 20)
    assert text.startswith("The lamp")
    assert text.endswith("\n")
    assert len(text) == len("The lamp") + 20 + 1


def test_several_samples_are_told_apart(char_run: str, capsys):
    words = ("The", "--tokens", 9, "--samples", 2, "--temperature", 0)
    first, second = written(capsys, char_run, *words).split("---- sample ")[1:]
    assert (first[:7], second[:7]) == ("1 of 2\n", "2 of 2\n")
    assert first[7:] == second[7:]
    assert first[7:].startswith("The")


def test_the_same_seed_writes_the_same_text(run: str, capsys):
    words = (run, "The", "--tokens", 30, "--samples", 2)
    one, same, other = (written(capsys, *words, "--seed", seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    first, second = one.split("---- sample ")[1:]
    assert first[7:] != second[7:]


def test_without_a_seed_each_text_is_another(run: str, capsys):
    assert len({written(capsys, run, "The", "--tokens", 40) for _ in range(3)}) == 3


def test_the_text_is_the_same_without_the_cache(run: str, capsys):
    """Also beyond the 8 tokens that the model sees at once."""
    words = (run, "The", "--tokens", 30, "--seed", 3)
    assert written(capsys, *words) == written(capsys, *words, "--no-cache")


@pytest.mark.parametrize(("words", "cached"), [([], True), (["--no-cache"], False)])
def test_the_cache_is_used_unless_it_is_declined(
    words: list[str], cached: bool, char_run: str, monkeypatch, capsys
):
    def asked(*_: object, use_cache: bool, **__: object) -> Iterator[Step]:
        assert use_cache is cached
        return iter([])

    monkeypatch.setattr("playattention.generation.stream", asked)
    assert written(capsys, char_run, "The", *words) == "The\n"


def test_temperature_0_takes_the_likeliest_token_each_time(char_run: str, capsys):
    """Against the model itself, asked token by token."""
    loaded = load_run(char_run)
    ids = loaded.tokenizer.encode("The")
    with torch.no_grad():
        for _ in range(20):
            logits, _ = loaded.model(torch.tensor([ids[-8:]]))
            ids.append(logits[0, -1].argmax().item())
    text = written(capsys, char_run, "The", "--tokens", 20, "--temperature", 0)
    assert text == loaded.tokenizer.decode(ids) + "\n"


def test_top_k_1_and_a_tiny_top_p_are_temperature_0(run: str, capsys):
    words = (run, "The", "--tokens", 20)
    likeliest = written(capsys, *words, "--temperature", 0)
    assert written(capsys, *words, "--top-k", 1) == likeliest
    assert written(capsys, *words, "--top-p", 1e-9) == likeliest


def test_an_earlier_checkpoint_writes_otherwise(run: str, capsys):
    words = (run, "The", "--tokens", 60, "--seed", 1)
    assert written(capsys, *words, "--step", 2) == written(capsys, *words)
    assert written(capsys, *words, "--step", 0) != written(capsys, *words)


def test_no_tokens_leave_the_prompt_alone(run: str, capsys):
    assert written(capsys, run, "The", "--tokens", 0) == "The\n"


def test_an_empty_prompt_starts_where_a_text_starts(char_run: str, capsys):
    """The line end that it starts from is not printed."""
    text = written(capsys, char_run, "", "--tokens", 10, "--seed", 1)
    assert len(text) == 11


def test_characters_of_several_tokens_come_out_whole(gpt2_run: str, monkeypatch, capsys):
    """Bytes wait for those that follow: each of these characters takes two tokens or three."""
    text = " é🙂ﬆ"
    ids = load_run(gpt2_run).tokenizer.encode(text)
    assert len(ids) > len(text)
    drawn = [Step(torch.tensor([[id_]]), torch.empty(0), torch.empty(0)) for id_ in ids]
    monkeypatch.setattr("playattention.generation.stream", lambda *_, **__: iter(drawn))
    assert written(capsys, gpt2_run, "Thé") == f"Thé{text}\n"


def test_each_sample_is_the_one_sample_of_the_next_seed(char_run: str, capsys):
    """So a text can be had again without those written beside it; 17 are more than go together."""
    words = ("The", "--tokens", 9)
    texts = written(capsys, char_run, *words, "--samples", 17, "--seed", 5).split("---- ")[1:]
    for number in (0, 1, 15, 16):
        alone = written(capsys, char_run, *words, "--seed", 5 + number)
        assert texts[number] == f"sample {number + 1} of 17\n{alone}"


def test_the_first_of_several_samples_is_printed_as_it_is_drawn(char_run, monkeypatch, capsys):
    def broken_off(*_: object, **__: object) -> Iterator[Step]:
        yield Step(torch.tensor([[1], [2]]), torch.empty(0), torch.empty(0))
        raise KeyboardInterrupt

    monkeypatch.setattr("playattention.generation.stream", broken_off)
    assert main(["generate", char_run, "The", "--samples", "2", "--device", "cpu"]) == 130
    first = load_run(char_run).tokenizer.decode([1])
    assert capsys.readouterr().out.startswith(f"---- sample 1 of 2\nThe{first}")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_weights_write_too(run: str, dtype: str, capsys):
    words = (run, "The", "--tokens", 5, "--seed", 1, "--dtype", dtype)
    text = written(capsys, *words)
    assert text.startswith("The")
    assert text == written(capsys, *words)


# Mistakes.


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["Q"], "unknown character 'Q' at position 0; allowed: the 26 characters "),
        (["The", "--temperature", "-1"], "temperature = -1.0: must be 0 (greedy) or more"),
        (["The", "--temperature", "nan"], "temperature = nan: must be 0 (greedy) or more"),
        (["The", "--top-k", "0"], "top_k = 0: must be 1 or more"),
        (["The", "--top-p", "1.5"], "top_p = 1.5: must be above 0 and at most 1"),
        (["The", "--samples", "0"], "samples = 0: must be 1 or more"),
        (["The", "--tokens", "-1"], "tokens = -1: must be 0 or more"),
        (["The", "--seed", "-1"], "seed = -1: must be 0 or more and below 2**64"),
        (["The", "--seed", str(2**64)], f"seed = {2**64}: must be 0 or more and below 2**64"),
        (["The", "--step", "3"], "step = 3: "),
    ],
)
def test_a_mistake_is_one_line(char_run: str, words: list[str], told: str, capsys):
    assert main(["generate", char_run, *words]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"playattention: {told}")
    assert written.err.count("\n") == 1


# A prompt that is asked for, and a reader that leaves.


def test_without_a_prompt_lines_are_asked_for_until_they_end(
    char_run: str, monkeypatch: pytest.MonkeyPatch, capsys
):
    """One that the model can't read is told, and the next is asked for."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("The\nQuartz\n\nA\n"))
    assert main(["generate", char_run, "--tokens", "4", "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == f"{char_run}, step 2. Type a prompt; Ctrl-D ends."
    answers = told.out.split("prompt> ")
    assert len(answers) == 6
    assert answers[1].startswith("The")
    assert answers[2] == ""
    assert len(answers[3]) == 4 + 1
    assert answers[4].startswith("A")
    assert answers[5] == "\n"
    assert told.err.startswith("playattention: unknown character 'Q' at position 0; allowed: ")
    assert told.err.count("\n") == 1


def test_ctrl_c_while_a_prompt_is_asked_for_exits_130(
    char_run: str, monkeypatch: pytest.MonkeyPatch, capsys
):
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert main(["generate", char_run, "--device", "cpu"]) == 130
    assert capsys.readouterr().err == "playattention: stopped\n"


def test_a_reader_that_has_left_ends_it_quietly(char_run: str, monkeypatch, capsys):
    """As with `| head -1`, in the middle of a text."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["generate", char_run, "The", "--device", "cpu"]) == 0
    assert capsys.readouterr().err == ""


def test_generate_leaves_the_run_as_it_is(run: str, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path(run).rglob("*")}
    written(capsys, run, "The", "--tokens", 3)
    assert {path: path.stat().st_mtime_ns for path in Path(run).rglob("*")} == before


@pytest.mark.parametrize(
    "words, told",
    [
        (["--dtype", "float16"], "--compile with --dtype float16: allowed with it: float32"),
        (["--no-cache"], "--compile with --no-cache: what is compiled is a step with a cache"),
        ([], "--compile: no C++ compiler found; install g++, or leave it out"),
    ],
)
def test_what_does_not_go_with_compiling_is_told(
    char_run: str, words: list[str], told: str, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert main(["generate", char_run, "The", "--device", "cpu", "--compile", *words]) == 2
    assert capsys.readouterr().err == f"playattention: {told}\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_compiled_step_writes_the_same(char_run: str, capsys):
    words = (char_run, "The", "--tokens", 20, "--seed", 1)
    assert written(capsys, *words, "--compile") == written(capsys, *words)
