"""`playattention import`: weights of others become a run that every command takes."""

from pathlib import Path

import pytest

from playattention.cli import main
from tests.conftest import released


def test_an_imported_run_is_taken_by_every_command(text_file: Path, capsys):
    released(Path("weights"))
    assert main(["import", "weights"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(
        "run folder: logs/weights\n1 blocks, 2 heads, 8 wide, context 16\ntry next:\n"
    )
    assert main(["generate", "weights", "The", "--tokens", "3", "--device", "cpu"]) == 0
    assert main(["eval", "weights", "--dataset", "text.txt", "--device", "cpu"]) == 0
    assert main(["export", "weights", "--to", "out"]) == 0
    assert main(["runs"]) == 0
    names = ("config.json", "model.safetensors")
    before, after = ({name: Path(each, name).read_bytes() for name in names} for each in PLACES)
    assert before["model.safetensors"] == after["model.safetensors"]


PLACES = ("weights", "out")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gpt3"], "unknown weights 'gpt3' (did you mean 'gpt2'?); allowed: gpt2, gpt2-medium, "),
        (["weights", "--run", "taken"], "logs/taken: exists already; allowed: --run with another"),
        (["logs/taken"], "logs/taken/config.json: model_type = None; allowed: 'gpt2'"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], told: str, capsys):
    released(Path("weights"))
    assert main(["import", "weights", "--run", "taken"]) == 0
    capsys.readouterr()
    assert main(["import", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"playattention: {told}")
    assert error.count("\n") == 1
