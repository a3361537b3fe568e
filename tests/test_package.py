"""What `import playattention` offers, and what it costs."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import playattention

PUBLIC = [name for name in playattention.__all__ if not name.startswith("_")]


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, playattention; dir(playattention)\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'tiktoken', 'tyro'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_loads_the_thing_of_that_name(name: str):
    assert getattr(playattention, name).__name__.rpartition(".")[2] == name


def test_type_checkers_see_the_same_names_and_things():
    """A name stands in the file three times: for types, for loading, and in __all__."""
    tree = ast.parse(inspect.getsource(playattention))
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    homes = {alias.name: node.module for node in branch.body for alias in node.names}
    assert sorted(homes) == sorted(PUBLIC)
    for name, module in homes.items():
        assert getattr(playattention, name) is getattr(import_module(module), name)


def test_dir_lists_the_public_names():
    assert set(playattention.__all__) <= set(dir(playattention))
    assert "__version__" in dir(playattention)


def test_a_star_import_gives_the_public_names():
    namespace: dict[str, object] = {}
    exec("from playattention import *", namespace)
    assert set(PUBLIC) <= set(namespace)


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'playattention' has no attribute 'GPT3Model'"):
        _ = playattention.GPT3Model


def test_a_private_name_of_a_part_is_no_attribute_of_the_package():
    with pytest.raises(ImportError):
        from playattention import next_token_distribution  # noqa: F401


def arguments(name: str) -> list[tuple[str, str, object]]:
    """Return the name, kind and default of each argument of a public function."""
    signature = inspect.signature(getattr(playattention, name))
    return [(each.name, each.kind.name, each.default) for each in signature.parameters.values()]


@pytest.mark.parametrize("name", ["generate", "stream"])
def test_sampling_takes_the_agreed_arguments(name: str):
    needed = ("POSITIONAL_OR_KEYWORD", inspect.Parameter.empty)
    assert arguments(name) == [
        ("model", *needed),
        ("idx", *needed),
        ("max_new_tokens", *needed),
        ("temperature", "KEYWORD_ONLY", 1.0),
        ("top_k", "KEYWORD_ONLY", None),
        ("top_p", "KEYWORD_ONLY", None),
        ("generator", "KEYWORD_ONLY", None),
        ("use_cache", "KEYWORD_ONLY", True),
        ("samples", "KEYWORD_ONLY", 1),
        ("compiled", "KEYWORD_ONLY", False),
    ]


def test_load_run_takes_the_agreed_arguments():
    assert arguments("load_run") == [
        ("path", "POSITIONAL_OR_KEYWORD", inspect.Parameter.empty),
        ("step", "POSITIONAL_OR_KEYWORD", None),
    ]
