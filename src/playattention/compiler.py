"""torch.compile: whether it can build here, and what to say where it failed.

Does not load PyTorch, and knows nothing of what is compiled.
"""

import os
import shutil
import sys


def has_compiler() -> bool:
    """Tell whether torch.compile can build its C++ kernels."""
    names = [os.environ.get("CXX"), "g++", "clang++", "c++", "cl"]
    return any(shutil.which(name) for name in names if name)


def failure(error: Exception) -> str | None:
    """Return what to say of an error of torch.compile, in one line; None for any other error.

    Its kernels lie in a folder that all programs share; one that was killed while it wrote there
    leaves half a file behind, which no later one can load.
    """
    loaded = sys.modules.get("torch._dynamo.exc")
    if loaded is None or not isinstance(error, loaded.TorchDynamoException):
        return None
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    cause = getattr(error, "inner_exception", error)
    line = next((line.strip() for line in str(cause).splitlines() if line.strip()), "no reason")
    return (
        f"torch.compile failed: {type(cause).__name__}: {line}; try again without it, or after "
        f"deleting {cache_dir()}, where a program that was killed may have left half a file"
    )
