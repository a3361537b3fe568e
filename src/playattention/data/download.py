"""A file from the network, put in its place whole or not at all.

Does not know what the files hold.
"""

import http.client
import os
import urllib.request
from pathlib import Path

from playattention.errors import UserError


def download(url: str, path: Path, otherwise: str) -> bytes:
    """Return what lies at an address.

    Args:
        url: The address.
        path: Where the file is to go; the error says that none is there.
        otherwise: What the user can do without a network.

    Raises:
        UserError: If it can't be had.
    """
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            content: bytes = response.read()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{path.parent.name}: no copy in {path.parent} and the download failed ({reason}); "
            f"allowed: a network, or {otherwise}"
        ) from None
    return content


def read_copy(path: Path) -> bytes:
    """Return a file that the user has at hand.

    Raises:
        UserError: If it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"--from {path}: cannot be read ({error.strerror})") from None


def put_in_place(path: Path, content: bytes) -> None:
    """Write a file by one rename, its folder first if that is not there.

    Raises:
        UserError: If the disk is full or can't be written.
    """
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
