"""The rules of the house, read off the source itself."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import playattention
from playattention import tokenizers
from playattention.commands import COMMANDS
from playattention.course import EXERCISES, exercise
from playattention.course.outline import outline
from playattention.data import DATASETS
from playattention.models import MODELS
from playattention.tokenizers import TOKENIZERS
from playattention.training import RECIPES

LAYERS = [
    {"errors"},
    {"settings", "compiler"},
    {"config"},
    {"tokenizers", "models"},
    {"data"},
    {"generation"},
    {"evaluation"},
    {"training"},
    {"xray"},
    {"bench"},
    {"course"},
    {"playground"},
    {"commands"},
    {"cli"},
    {"__init__", "__main__"},  # the package's own front doors
]
"""Each may import what stands above it, and itself."""

ROOT = Path(playattention.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MODEL_FILES = [path for path in FILES if path.match("models/model_*.py")]
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
each_model_file = pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def number_of_lines(path: Path) -> int:
    """Return how long a file is."""
    return len(path.read_text(encoding="utf-8").splitlines())


def level(part: str) -> int:
    """Return which layer a part of the package is in; what is in none counts as the last."""
    return next((place for place, parts in enumerate(LAYERS) if part in parts), len(LAYERS))


def part_of(path: Path) -> str:
    """Return the part of the package that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of all that a file imports.

    Inside functions and under TYPE_CHECKING too, and by name in a registry ("module:attribute").
    """
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^(playattention\.[\w.]+):\w+$", node.value)


def imported_parts(path: Path) -> set[str]:
    """Return the parts of the package that a file imports; its version is no part."""
    names = [f"{name}.__init__".split(".") for name in imports(path)]
    return {part for package, part, *_ in names if package == "playattention"} - {"__version__"}


def within(node: ast.AST, kind: type) -> Iterator[ast.AST]:
    """Yield all nodes of a kind inside a node."""
    return (inner for inner in ast.walk(node) if isinstance(inner, kind))


def forward_functions(path: Path) -> list[ast.FunctionDef]:
    """Return a model file's methods that a forward pass may run: all that do not initialize."""
    methods = [
        method
        for kind in tree(path).body
        if isinstance(kind, ast.ClassDef)
        for method in kind.body
        if isinstance(method, FUNCTIONS) and "init" not in method.name
    ]
    assert any(method.name == "forward" for method in methods)
    return methods


def told(node: ast.AST, path: Path, wrong: str) -> str:
    """Return how a violation is told."""
    return f"{path.relative_to(ROOT)}:{node.lineno}: {wrong}"


# Which part knows which.


@each_file
def test_every_file_belongs_to_a_layer(path: Path):
    assert part_of(path) in set().union(*LAYERS)


@each_file
def test_imports_go_one_way_only(path: Path):
    own = part_of(path)
    wrong = {part for part in imported_parts(path) - {own} if level(part) >= level(own)}
    assert not wrong, f"{own} imports {wrong}"


@each_model_file
def test_a_model_file_stands_alone(path: Path):
    """Torch, the sizes and the cache: a learner needs no other file."""
    allowed = ("torch", "playattention.config", "playattention.models.kv_cache")
    assert [
        name
        for name in imports(path)
        if not any(name == start or name.startswith(f"{start}.") for start in allowed)
    ] == []


START_UP = [
    "cli",
    "commands.train",
    "config",
    "course.sandbox",
    "course.state",
    "course.watching",
    "data",
    "data.tinyshakespeare",
    "tokenizers",
]


@pytest.mark.parametrize("module", START_UP)
def test_what_the_start_up_needs_does_not_import_torch(module: str):
    """Importing torch takes seconds, which `--help` must not."""
    heavy = {"torch", "matplotlib", "transformers", "pyarrow", "huggingface_hub"}
    code = f"import sys, playattention.{module}\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "gpt", "--help"]])
def test_help_does_not_import_torch(words: list[str]):
    line = [sys.executable, "-X", "importtime", "-m", "playattention", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    imported = {row.split("|")[-1].strip() for row in done.stderr.splitlines()}
    assert done.stdout
    assert "playattention.cli" in imported
    assert not {"torch", "matplotlib"} & imported


# Sizes.


@each_file
def test_a_file_has_at_most_300_lines(path: Path):
    assert number_of_lines(path) <= 300


@each_model_file
def test_a_model_file_has_at_most_250_lines(path: Path):
    assert number_of_lines(path) <= 250


@each_file
def test_a_function_has_at_most_50_lines(path: Path):
    assert [
        told(function, path, function.name)
        for function in within(tree(path), FUNCTIONS)
        if function.end_lineno - function.lineno >= 50
    ] == []


# Registries: a file that is not in one can't be reached.


def registered_files(registry: dict[str, str]) -> set[Path]:
    """Return the files that a registry's "module:attribute" lines name."""
    modules = {line.split(":")[0] for line in registry.values()}
    return {Path(import_module(module).__file__) for module in modules}


def defines(path: Path, function: str) -> bool:
    """Tell whether a file has a function of this name."""
    return any(isinstance(node, FUNCTIONS) and node.name == function for node in tree(path).body)


def binds(path: Path, name: str) -> bool:
    """Tell whether a file gives this name a value on its first level."""
    return any(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
        for node in tree(path).body
    )


def files(folder: str, pattern: str) -> set[Path]:
    """Return the files of a folder of the package that match."""
    return {path for path in (ROOT / folder).glob(pattern) if path.name != "__init__.py"}


def test_every_model_file_is_registered():
    assert files("models", "model_*.py") == registered_files(MODELS)


def test_every_data_set_is_registered():
    loading = {path for path in files("data", "*.py") if defines(path, "load")}
    assert loading == registered_files(DATASETS)


def test_every_recipe_is_registered():
    assert files("training", "train_*.py") == registered_files(RECIPES)


def test_every_exercise_is_registered():
    found = {path for path in files("course/exercises", "*.py") if binds(path, "EXERCISE")}
    assert found == registered_files(EXERCISES)


def test_every_exercise_is_called_as_its_file_is():
    """The list reads its name, number and title off the file, without torch."""
    for name in EXERCISES:
        found, read = exercise(name), outline(name)
        assert (read.number, read.name, read.title) == (found.number, name, found.title)
        assert read.file == found.file == Path(find_spec(EXERCISES[name].split(":")[0]).origin).name
    numbers = [outline(name).number for name in EXERCISES]
    assert numbers == sorted(set(numbers))


def test_every_command_is_registered():
    assert files("commands", "*.py") == registered_files(COMMANDS)


def test_every_tokenizer_is_registered():
    named = {
        kind
        for name, kind in vars(tokenizers).items()
        if name.endswith("Tokenizer") and kind is not tokenizers.Tokenizer
    }
    assert named == set(TOKENIZERS.values())


REGISTERED = [
    line for lines in (MODELS, DATASETS, RECIPES, COMMANDS, EXERCISES) for line in lines.values()
]


@pytest.mark.parametrize("line", REGISTERED)
def test_every_line_of_a_registry_names_what_is_there(line: str):
    module, attribute = line.split(":")
    assert attribute in vars(import_module(module))


def test_every_model_has_a_recipe_of_its_name():
    assert set(MODELS) == set(RECIPES)
    for name in RECIPES:
        module, attribute = RECIPES[name].split(":")
        assert getattr(import_module(module), attribute).model.name == name


# Style.


def public(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the public functions and classes of a module's body, and these classes' methods."""
    for node in body:
        if isinstance(node, FUNCTIONS | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@each_file
def test_everything_public_has_a_docstring(path: Path):
    documented = [tree(path), *public(tree(path).body)]
    assert [node.name for node in documented if not ast.get_docstring(node)] == []


@each_file
def test_nothing_asks_whether_an_attribute_is_there(path: Path):
    assert [
        told(call, path, "hasattr")
        for call in within(tree(path), ast.Call)
        if isinstance(call.func, ast.Name) and call.func.id == "hasattr"
    ] == []


def assigned_lambdas(path: Path) -> Iterator[ast.stmt]:
    """Yield the assignments that give a lambda to an attribute, a class or a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Lambda):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            at_top = any(
                node in owner.body for owner in within(tree(path), ast.Module | ast.ClassDef)
            )
            if at_top or any(isinstance(target, ast.Attribute) for target in targets):
                yield node


@each_file
def test_no_attribute_is_a_lambda(path: Path):
    """It has no name in a traceback, and a module with one can't be pickled."""
    assert [told(node, path, "lambda") for node in assigned_lambdas(path)] == []


def in_place(method: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield what changes a tensor in place: `x.add_(y)`, `x += y`, `x[0] = y`, `out=x`."""
    for node in ast.walk(method):
        if isinstance(node, ast.Subscript):
            found = not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Call):
            options = {keyword.arg for keyword in node.keywords}
            found = bool(
                re.search(r"[^_]_$", ast.unparse(node.func)) or options & {"inplace", "out"}
            )
        else:
            found = isinstance(node, ast.AugAssign)
        if found:
            yield node


@each_model_file
def test_a_forward_pass_changes_nothing_in_place(path: Path):
    """X-ray shows each value as it was bound; a later change would falsify it."""
    assert [
        told(node, path, ast.unparse(node))
        for method in forward_functions(path)
        for node in in_place(method)
    ] == []


def goes_through_blocks(node: ast.AST) -> bool:
    """Tell whether a node is a loop that only does `x = block(x, ...)`."""
    if not (
        isinstance(node, ast.For) and isinstance(node.target, ast.Name) and len(node.body) == 1
    ):
        return False
    step = ast.unparse(node.body[0])
    return bool(re.fullmatch(rf"(\w+) = {node.target.id}\(\1(, \w+)*\)", step))


def bound_names(method: ast.FunctionDef) -> Counter[str]:
    """Count how often each name is bound in a method, its arguments included."""
    arguments = method.args.posonlyargs + method.args.args + method.args.kwonlyargs
    names = Counter(argument.arg for argument in arguments)
    waiting: list[ast.AST] = list(method.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id != "_":
            names[node.id] += 1
        # A comprehension's names are its own, and the loop over blocks is the one exception.
        if not isinstance(node, ast.comprehension) and not goes_through_blocks(node):
            waiting.extend(ast.iter_child_nodes(node))
    return names


@each_model_file
def test_every_step_of_a_forward_pass_has_a_name_of_its_own(path: Path):
    """X-ray shows values by name; the loop over blocks, `x = block(x)`, is the exception."""
    assert [
        f"{method.name}: {name}"
        for method in forward_functions(path)
        for name, times in bound_names(method).items()
        if times > 1
    ] == []
