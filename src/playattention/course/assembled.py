"""The learner's own GPT: their files, made one package, and trained as any model is.

The pieces that they have not got right come from the course. All files are copied into the run's
folder, which so stays what it was, whatever becomes of the exercises. Does not know how training
goes.
"""

import ast
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from playattention.config import RunConfig
from playattention.course import EXERCISES, exercise
from playattention.course.exercise import Exercise
from playattention.course.folder import Folder
from playattention.course.outline import outline
from playattention.models.own import own_model
from playattention.training import recipe
from playattention.training.folder import CODE
from playattention.training.run import create_run

WHOLE = "gpt"
"""The exercise that all others are pieces of."""
PIECES = "playattention.course.pieces"

MODEL = '''"""The learner's GPT, as the rest of the package builds it: from sizes alone."""

from .{module} import GPT


class Model(GPT):
    """See GPT.

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config):
        super().__init__(
            config.vocab_size, config.seq_size, config.n_embd, config.n_head, config.n_layer
        )
        if "config" in vars(self):
            raise AttributeError("a GPT here gets an attribute config; give yours another name")
        self.config = config
'''


@dataclass(frozen=True)
class Assembly:
    """A GPT made of files.

    Args:
        files: Name -> text.
        own: Names of the exercises whose file is the learner's.
        others: Names of those whose file is the course's.
    """

    files: dict[str, str]
    own: tuple[str, ...]
    others: tuple[str, ...]


class _Edit(NamedTuple):
    """Text to put in the place of a statement: lines from 1, columns in bytes from 0."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


def assemble(folder: Folder) -> Assembly:
    """Return the learner's GPT, of what has passed and is as it was then, and of the course's.

    Args:
        folder: The learner's.
    """
    pieces = {
        one.__name__: found.file.removesuffix(".py")
        for found in map(exercise, EXERCISES)
        for one in found.reference
    }
    waiting, files = [WHOLE], {}
    own: list[str] = []
    others: list[str] = []
    while waiting:
        name = waiting.pop()
        found = exercise(name)
        if found.file in files:
            continue
        passed = folder.state(outline(name)) == "passed"
        (own if passed else others).append(name)
        text = _learners(folder, name) if passed else found.solution
        files[found.file], modules = _related(text, pieces)
        waiting += [name for name in EXERCISES if outline(name).file[:-3] in modules]
    order = list(EXERCISES)
    own, others = sorted(own, key=order.index), sorted(others, key=order.index)
    files["__init__.py"] = _told(own, others)
    files["model.py"] = MODEL.format(module=exercise(WHOLE).file.removesuffix(".py"))
    return Assembly(files, tuple(own), tuple(others))


def needed() -> list[Exercise]:
    """Return the exercises that a GPT is made of, in the order of the course."""
    found = assemble(Folder(Path("nowhere")))
    return [exercise(name) for name in found.others]


def settings(steps: int) -> RunConfig:
    """Return what the learner's GPT is trained with: the GPT recipe's sizes, on the built-in plays.

    Args:
        steps: Optimizer steps.
    """
    base = recipe("gpt")
    return base.updated(
        data={"dataset": "playhouse"},
        train={
            "steps": steps,
            "warmup_steps": min(base.train.warmup_steps, steps // 5),
            "eval_every": max(1, min(base.train.eval_every, steps)),
        },
    )


def create_own_run(assembly: Assembly, config: RunConfig, name: str | None = None) -> Path:
    """Lay out a run whose model is the learner's, and build it once, to see that it can be built.

    Args:
        assembly: The learner's GPT.
        config: What the run is.
        name: The folder's name below `logs/`; default: own and time.

    Raises:
        UserError: If the model can't be built, or the folder can't be written.
    """
    folder = create_run(config, name or f"own_{datetime.now():%Y%m%d_%H%M%S}")
    code = folder / CODE
    code.mkdir()
    for file, text in assembly.files.items():
        (code / file).write_text(text, encoding="utf-8")
    own_model(code, config.model)
    return folder


def _learners(folder: Folder, name: str) -> str:
    return folder.read(outline(name)).decode("utf-8-sig").replace("\r\n", "\n")


def _told(own: list[str], others: list[str]) -> str:
    lines = [f"{outline(name).file}  yours" for name in own]
    lines += [f"{outline(name).file}  the course's" for name in others]
    told = "\n".join(f"    {line}" for line in sorted(lines))
    return f'"""A GPT of the pieces that were right when the run began.\n\n{told}\n"""\n'


def _related(source: str, pieces: dict[str, str]) -> tuple[str, set[str]]:
    """Return a file whose imports of pieces lead to the files beside it, and which these are.

    Lines stay where they are, so that an error's line is that of the learner's file.

    Args:
        source: The file.
        pieces: What the exercises define: name -> the module that has it.
    """
    modules = set(pieces.values())
    edits, met = [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            parts = _from(node, pieces, modules)
        elif isinstance(node, ast.Import) and {one.name for one in node.names} & modules:
            parts = [(one.name if one.name in modules else "", one) for one in node.names]
        else:
            continue
        if not any(module for module, _ in parts):
            continue
        met |= {module for module, _ in parts if module}
        text = "; ".join(_statement(node, module, one) for module, one in parts)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
        edits.append(_Edit(*place, text))
    return _edited(source, edits), met


def _from(
    node: ast.ImportFrom, pieces: dict[str, str], modules: set[str]
) -> list[tuple[str, ast.alias]]:
    """Return for each imported name the module beside it that has it; "": it stays as it is."""
    source = (node.module or "").rpartition(".")[2]
    if node.module == PIECES:
        return [(pieces.get(one.name, ""), one) for one in node.names]
    return [(source if source in modules else "", one) for one in node.names]


def _statement(node: ast.Import | ast.ImportFrom, module: str, one: ast.alias) -> str:
    as_ = f" as {one.asname}" if one.asname else ""
    if isinstance(node, ast.Import):
        return f"from . import {one.name}{as_}" if module else f"import {one.name}{as_}"
    return f"from {f'.{module}' if module else node.module} import {one.name}{as_}"


def _edited(source: str, edits: list[_Edit]) -> str:
    lines = source.encode().splitlines(keepends=True)
    for edit in sorted(edits, reverse=True):
        first, last = edit.line - 1, edit.end_line - 1
        before, after = lines[first][: edit.column], lines[last][edit.end_column :]
        # A statement over several lines leaves as many behind, empty.
        empty = [b"\n"] * (last - first)
        lines[first : last + 1] = [before + edit.text.encode() + after, *empty]
    return b"".join(lines).decode()
