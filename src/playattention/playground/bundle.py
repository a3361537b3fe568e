"""The page as one file: its modules, styles and data inside, nothing asked from anywhere.

A module keeps its text; it becomes a `data:` URL, found by its name in an import map. Does not
know what the page shows.
"""

import base64
import json
import re
from pathlib import Path, PurePosixPath

PAGE = Path(__file__).parent / "page"
PREFIX = "playattention/"
"""Of a module's name in the import map: a `data:` URL has no place that `./` could start from."""

_IMPORT = re.compile(r"""(?P<words>\b(?:from|import)\s*)"(?P<path>\.{1,2}/[^"]+)\"""")
_LINK = re.compile(r'<link rel="stylesheet" href="(?P<path>[^"]+)" ?/?>\s*')
_AHEAD = re.compile(r'<link rel="modulepreload"[^>]*>\s*')
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_ICON = re.compile(r'<link rel="icon" href="(?P<path>[^"]+)"')
_ENTRY = re.compile(r'<script type="module" src="(?P<path>[^"]+)"></script>')

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""The browser itself refuses any request."""

ALONE = """\
// In a frame without an address of its own, the address can't tell what is selected.
if (!/^(https?|file):$/.test(location.protocol)) {
  history.replaceState = history.pushState = () => {};
}
"""


def bundled(data: object, title: str, replaced: dict[str, str]) -> str:
    """Return the page as one HTML file.

    Args:
        data: What the page's questions are answered from, as JSON.
        title: Of the page.
        replaced: Module -> the module in its place, both below `page/`.
    """
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    entry = _ENTRY.search(text)
    assert entry is not None
    modules = _modules(entry["path"], replaced)
    styles = [(PAGE / one["path"]).read_text(encoding="utf-8") for one in _LINK.finditer(text)]
    head = "\n".join(
        [
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />',
            f"<style>\n{''.join(styles)}</style>",
            f'<script type="application/json" id="data">{_safe(data)}</script>',
            f"<script>\n{ALONE}</script>",
            f'<script type="importmap">{_safe({"imports": modules})}</script>',
            f'<script type="module">import "{PREFIX}{entry["path"]}";</script>',
        ]
    )
    for found in (_LINK, _AHEAD, _COMMENT):
        text = found.sub("", text)
    text = _ICON.sub(lambda found: f'<link rel="icon" href="{_icon(found["path"])}"', text)
    text = _ENTRY.sub(lambda _: head, text)
    return re.sub(r"<title>.*?</title>", lambda _: f"<title>{_escaped(title)}</title>", text)


def _modules(entry: str, replaced: dict[str, str]) -> dict[str, str]:
    """Return all modules that an entry needs: name -> `data:` URL."""
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if PREFIX + path in found:
            continue
        own = replaced.get(path, path)
        text = (PAGE / own).read_text(encoding="utf-8")
        needed: list[str] = []

        def named(match: re.Match[str], own: str = own, needed: list[str] = needed) -> str:
            needed.append(_resolved(own, match["path"]))
            return f'{match["words"]}"{PREFIX}{needed[-1]}"'

        text = _IMPORT.sub(named, text)
        found[PREFIX + path] = f"data:text/javascript;base64,{_base64(text.encode())}"
        waiting.extend(needed)
    return found


def _resolved(own: str, path: str) -> str:
    """Return the path below `page/` of what a module imports as `../x.js`."""
    parts: list[str] = []
    for part in (PurePosixPath(own).parent / path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _icon(path: str) -> str:
    return f"data:image/svg+xml;base64,{_base64((PAGE / path).read_bytes())}"


def _safe(data: object) -> str:
    """Return JSON in which no tag can end."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
