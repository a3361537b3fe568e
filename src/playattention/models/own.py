"""A model whose code is no part of this package: a folder of files that a run brings along.

Its `model.py` defines `Model`, which takes the sizes (`config.ModelConfig`) alone. To load it is to
run that code, so who calls this has made sure that it is the user's own. Does not know runs.
"""

import hashlib
import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from torch import nn

from playattention.config import ModelConfig
from playattention.errors import UserError


def own_model(code: Path, config: ModelConfig) -> nn.Module:
    """Return a new model of these sizes, its weights drawn from torch's global generator.

    Args:
        code: A folder, whose files import each other as `from .file import name`.
        config: The sizes.

    Raises:
        UserError: If the code is missing or stops with an error; names its line.
    """
    try:
        model = import_module(f"{_package(code)}.model").Model(config)
    except Exception as error:  # other people's code may raise anything
        raise UserError(f"{code}: {told(error, code)}") from None
    if not isinstance(model, nn.Module):
        raise UserError(f"{code}: its Model is {type(model).__name__}; allowed: a torch.nn.Module")
    return model


def told(error: Exception, code: Path) -> str:
    """Return an error of a model's own code in one line, with the innermost of its lines.

    Args:
        error: What was raised.
        code: The folder of the code.
    """
    places = [
        f" ({Path(frame.filename).name}, line {frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent == code.resolve()
    ]
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}{places[-1] if places else ''}"


def _package(code: Path) -> str:
    """Make a folder a package of its own name, and return that: several may be open at once."""
    home = code.resolve()
    digest = hashlib.sha256(str(home).encode())
    for path in sorted(home.glob("*.py")):
        digest.update(path.read_bytes())
    name = f"own_{digest.hexdigest()[:16]}"
    if name not in sys.modules:
        path = home / "__init__.py"
        spec = spec_from_file_location(name, path, submodule_search_locations=[str(home)])
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return name
