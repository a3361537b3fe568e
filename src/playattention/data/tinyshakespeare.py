"""Tiny Shakespeare: 1,115,394 characters of his plays, fetched once and checked.

Does not know tokenizers or splits.
"""

import hashlib
from pathlib import Path

from playattention.data import Corpus
from playattention.data.download import download, put_in_place, read_copy
from playattention.errors import UserError

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
HOME = Path("data", "tinyshakespeare", "input.txt")
OTHERWISE = (
    "`playattention data tinyshakespeare --from FILE` with a copy, or `--dataset playhouse`, which "
    "is built in"
)


def load(source: Path | None = None) -> Corpus:
    """Return the corpus from `data/tinyshakespeare/`, put there first if it is not.

    Args:
        source: A copy at hand; default: the copy in `data/`, else a download.

    Raises:
        UserError: If the text is not the known one, or there is neither a copy nor a network.
    """
    if source is not None or not HOME.is_file():
        content = download(URL, HOME, OTHERWISE) if source is None else read_copy(source)
        _check(content, URL if source is None else f"--from {source}")
        put_in_place(HOME, content)
    content = HOME.read_bytes()
    _check(content, str(HOME), "; delete it to download anew")
    return Corpus(name="tinyshakespeare", text=content.decode("ascii"))


def _check(content: bytes, origin: str, hint: str = "") -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise UserError(
            f"{origin}: not Tiny Shakespeare: {len(content):,} bytes with sha256 {found[:12]}...; "
            f"allowed: 1,115,394 bytes with sha256 {SHA256[:12]}...{hint}"
        )
