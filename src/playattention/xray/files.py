"""Tensors and what is said of them in one safetensors file: the words are JSON in its header.

Does not know what a trace is.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from playattention.errors import UserError

_HEADER = "playattention.xray"


class Shelf:
    """Tensors under numbers, each once however often it is put there."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._numbers: dict[tuple[Any, ...], str] = {}
        self._held: list[torch.UntypedStorage] = []  # so that ids stay their own

    def put(self, tensor: torch.Tensor) -> str:
        """Return the number under which a tensor lies; the same for the same memory and shape."""
        storage = tensor.untyped_storage()
        place = tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype
        key = id(storage), *place
        if key not in self._numbers:
            self._held.append(storage)
            self._numbers[key] = str(len(self._numbers))
            self.tensors[self._numbers[key]] = tensor.detach().clone().contiguous()
        return self._numbers[key]


def write(path: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write a file; it appears whole or not at all.

    Args:
        path: Where; what is there is replaced.
        tensors: Contiguous, none sharing memory with another.
        facts: What JSON can hold.

    Raises:
        UserError: If the disk is full or can't be written.
    """
    if not path.name or path.is_dir():
        raise UserError(f"{path}: is a folder; allowed: the path of a file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; allowed: one that is there")
    partial = path.with_name(f".{path.name}.partial")
    try:
        save_file(tensors, partial, metadata={_HEADER: json.dumps(facts)})
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be written ({error})") from None
    finally:
        partial.unlink(missing_ok=True)  # there only if something went wrong


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return what `write` wrote.

    Raises:
        UserError: If the file is missing, damaged, or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            if header is None:
                raise UserError(f"{path}: no trace; allowed: a file that trace.save() wrote")
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(header)  # noqa: SIM118 - no dict
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: missing or damaged ({error})") from None
