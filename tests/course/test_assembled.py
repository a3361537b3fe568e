"""The learner's own GPT: made of their files, trained, opened again, looked into."""

import re
from pathlib import Path

import pytest
import torch

from playattention import generate, load_run, xray
from playattention.cli import main
from playattention.course import assembled, exercise
from playattention.course.folder import Folder
from playattention.course.outline import outline
from playattention.course.progress import fingerprint
from playattention.errors import UserError
from playattention.playground.opened import Shelf
from playattention.playground.runs import entries
from playattention.training import report
from playattention.training.loop import resume

pytestmark = pytest.mark.usefixtures("pieces")

OWN_BLOCK = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.of_my_own = nn.Linear(n_embd, n_embd, bias=False)

    def forward(self, x):
        turned = self.of_my_own(x)
        return x + turned
"""


def passed(folder: Folder, name: str, source: str) -> None:
    """Let the learner have written a file, and let it have passed."""
    folder.start(outline(name))
    folder.file(outline(name)).write_text(source)
    folder.note(outline(name), passed=fingerprint(source.encode()))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run take seconds."""
    settings = assembled.settings

    def smaller(steps: int):
        return settings(steps).updated(
            model={"n_layer": 2, "n_head": 2, "n_embd": 8, "seq_size": 16},
            data={"eval_tokens": 100},
            train={"batch_size": 2, "sample_tokens": 3, "device": "cpu", "threads": 1},
        )

    monkeypatch.setattr(assembled, "settings", smaller)
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)


def test_pieces_that_have_not_passed_come_from_the_course(folder: Folder):
    passed(folder, "block", OWN_BLOCK)
    found = assembled.assemble(folder)
    assert (found.own, found.others) == (("block",), ("gpt",))
    assert found.files["e10_block.py"] == OWN_BLOCK
    assert "class GPT" in found.files["e12_gpt.py"]


def test_a_piece_that_changed_since_it_passed_is_not_used(folder: Folder):
    passed(folder, "block", OWN_BLOCK)
    folder.file(outline("block")).write_text(OWN_BLOCK + "\n# changed\n")
    assert assembled.assemble(folder).own == ()


def test_imports_of_pieces_lead_to_the_files_beside_and_lines_stay_where_they_are(folder: Folder):
    source = exercise("gpt").solution
    text = assembled.assemble(folder).files["e12_gpt.py"]
    assert "from .e10_block import Block" in text
    assert "playattention" not in text
    number = source.splitlines().index("class GPT(nn.Module):")
    assert text.splitlines()[number] == "class GPT(nn.Module):"


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("from e10_block import Block", "from .e10_block import Block"),
        ("from e10_block import Block as B, x", "from .e10_block import Block as B; from .e10_b"),
        ("import e10_block as b", "from . import e10_block as b"),
        ("from playattention.course.exercises.e10_block import Block", "from .e10_block import"),
        ("from playattention.course.pieces import nothing", "from playattention.course.pieces im"),
        ("import torch", "import torch"),
    ],
)
def test_any_way_to_import_a_piece_is_understood(line: str, becomes: str):
    text, _ = assembled._related(f"{line}\n", {"Block": "e10_block"})
    assert text.startswith(becomes)


def test_the_learners_gpt_is_trained_opened_and_looked_into(folder: Folder, small: None, capsys):
    passed(folder, "block", OWN_BLOCK)
    assert main(["learn", "run", "--steps", "2", "--run", "mine"]) == 0
    told = capsys.readouterr().out
    assert "yours: block\n" in told
    assert "not right yet: gpt\n" in told
    run = load_run("mine")
    assert run.step == 2
    assert any("of_my_own" in name for name, _ in run.model.named_parameters())
    idx = torch.tensor([[1, 2, 3]])
    assert generate(run.model, idx, 20).shape == (1, 23)  # more than its context, without a cache
    trace = xray.watch(run.model, idx, idx)
    assert trace.find(module="blocks.1", name="turned")[0].source == "turned = self.of_my_own(x)"


def test_it_is_resumed_and_the_page_claims_no_number_of_weights(folder: Folder, small: None):
    passed(folder, "block", OWN_BLOCK)
    assert main(["learn", "run", "--steps", "2", "--run", "mine"]) == 0
    assert main(["train", "--resume", "mine", "--train.steps", "3"]) == 0
    run = load_run("mine")
    assert run.step == 3
    (entry,) = [entry for entry in entries(Shelf()) if entry.name == "mine"]
    assert entry.error is None
    assert entry.parameters is None


def test_the_run_stays_what_it_was_when_the_exercises_change(folder: Folder, small: None):
    passed(folder, "block", OWN_BLOCK)
    main(["learn", "run", "--steps", "1", "--run", "mine"])
    before = load_run("mine").model.state_dict()
    folder.file(outline("block")).write_text("raise RuntimeError")
    after = load_run("mine").model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_two_runs_of_different_code_are_open_at_once(folder: Folder, small: None):
    passed(folder, "block", OWN_BLOCK)
    main(["learn", "run", "--steps", "1", "--run", "one"])
    passed(folder, "block", OWN_BLOCK.replace("of_my_own", "renamed"))
    main(["learn", "run", "--steps", "1", "--run", "two"])
    one, two = load_run("one").model, load_run("two").model
    assert "blocks.0.of_my_own.weight" in one.state_dict()
    assert "blocks.0.renamed.weight" in two.state_dict()


def test_code_is_run_from_the_users_own_shelf_alone(folder: Folder, small: None):
    passed(folder, "block", OWN_BLOCK)
    main(["learn", "run", "--steps", "1", "--run", "mine"])
    Path("logs/mine").rename("elsewhere")
    Path("elsewhere/code/model.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(UserError, match=r"run only from logs/; allowed: read elsewhere/code"):
        load_run("elsewhere")
    with pytest.raises(UserError, match="run only from logs/"):
        resume(Path("elsewhere"))


def test_an_error_in_the_learners_code_names_their_line(folder: Folder, small: None, capsys):
    passed(folder, "block", OWN_BLOCK.replace("return x + turned", "return x @ turned"))
    assert main(["learn", "run", "--steps", "1", "--run", "mine"]) == 1
    told = capsys.readouterr().err
    assert re.search(r"mine/code: RuntimeError: .*\(e10_block.py, line 13\)", told)


def test_a_model_that_takes_the_name_config_is_told_so(folder: Folder, small: None, capsys):
    source = exercise("gpt").solution.replace(
        "super().__init__()", "super().__init__()\n        self.config = 3"
    )
    passed(folder, "gpt", source)
    assert main(["learn", "run", "--steps", "1", "--run", "mine"]) == 2
    assert "give yours another name" in capsys.readouterr().err
