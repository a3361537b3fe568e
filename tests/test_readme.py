"""What the README and CONTRIBUTING say is so: commands parse, code runs, files exist."""

import re
import shlex
from pathlib import Path

import pytest

from playattention import cli
from playattention.commands.bench import Bench
from playattention.commands.data import Data
from playattention.commands.eval import Eval
from playattention.commands.export import Export
from playattention.commands.generate import Generate
from playattention.commands.import_weights import ImportWeights
from playattention.commands.ladder import Ladder
from playattention.commands.learn import Learn
from playattention.commands.play import Play
from playattention.commands.train import Train
from playattention.commands.xray import Xray
from playattention.config import GPT2Config
from playattention.models import pretrained

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COURSE = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README + COURSE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("playattention ")
]


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_is_understood(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started = []

    def run(self: object) -> None:
        started.append(self)

    slow = (Train, Generate, Eval, ImportWeights, Export, Ladder, Bench, Xray, Play, Learn)
    for command_class in slow:
        monkeypatch.setattr(command_class, "run", run)
    # Weights that are not at hand: only their sizes are asked for before training.
    monkeypatch.setattr(pretrained, "read_config", GPT2Config.preset)
    if "fineweb-edu" in command or "--shards" in command:  # run on small data: test_docs.py
        monkeypatch.setattr(Data, "run", run)
    words = shlex.split(command)[1:]
    if "--help" in words:
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == 0
    else:
        assert cli.main(words) == 0
        assert started or capsys.readouterr().out


def test_every_option_that_the_readme_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    named = set(re.findall(r"`(--[a-z][\w.-]*)", README))
    for name in ("train gpt", "plan gpt2", "bench", "gpu", "xray"):
        words = [*name.split(), "--help"]
        with pytest.raises(SystemExit):
            cli.main(words)
    known = set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out))
    assert len(named) >= 6
    assert named - known == set()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_code_of_the_readme_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_the_file_tree_of_the_readme_is_the_tree() -> None:
    tree = re.search(r"```\n(README\.md .*?)```", README, re.DOTALL)[1]
    folders = [ROOT]
    named = set()
    for line in tree.splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        path = folders[indent // 2] / name
        assert path.exists(), path
        named.add(path)
        folders[indent // 2 + 1 :] = [path]
    package = ROOT / "src" / "playattention"
    missing = {
        path
        for path in package.rglob("*.py")
        if path not in named
        and not path.name.startswith("__")
        and path.parent
        not in named - {package / folder for folder in ("", "models", "data", "training", "xray")}
    }
    assert missing == set()


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/xray.md", "docs/playground.md"],
)
def test_every_file_that_a_page_points_to_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r'src="([^":]+)"', text)
    for link in links:
        assert ((ROOT / page).parent / link).exists(), link
