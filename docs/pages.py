"""What the pages of the course take from elsewhere: source lines, figures, links.

    python docs/pages.py            # fills all pages in
    python docs/pages.py --check    # tells which would change, and ends with 1 if any would

A page has blocks of cogapp,

    <!-- [[[cog source("models/model_gpt.py", "FeedForward.forward") ]]] -->
    <!-- [[[end]]] -->

with what they print below them, and single numbers with the place they come from, as in
`0.251<!--=r.run.loss:.3f-->`: what stands before the comment is replaced by the f-string field
inside. `r` is record.json, made by record.py; `results("training")` a file of benchmarks/results.
Knows no page.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable, Sequence
from math import exp, log, sqrt
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cogapp import Cog
from cogapp.cogapp import CogCheckFailed

import facts
import measured
import since

__all__ = [
    "added",
    "exercise",
    "exp",
    "facts",
    "link",
    "log",
    "matrix",
    "measured",
    "playground",
    "products",
    "r",
    "results",
    "since",
    "source",
    "sqrt",
    "table",
    "text",
    "visible",
]
"""What the pages may use."""

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src/playattention"
FIGURE = re.compile(r"(?P<shown>[^\s<>()\[\]*|`]+)<!--=(?P<field>[^>]+)-->")
PLAYGROUND = "http://127.0.0.1:8765/"
"""Where `playattention play` listens unless that port is taken."""


class Figures(dict[str, Any]):
    """A dictionary of JSON whose keys are attributes too: `r.run.loss`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name}: allowed: {', '.join(self)}") from None


def _read(path: Path) -> Figures:
    figures: Figures = json.loads(path.read_text(encoding="utf-8"), object_hook=Figures)
    return figures


def results(name: str) -> Figures:
    """Return the measured figures of benchmarks/results/NAME.json."""
    return _read(HERE.parent / f"benchmarks/results/{name}.json")


r = _read(HERE / "record.json") if (HERE / "record.json").exists() else Figures()
"""The recorded run."""


def source(file: str, name: str, first: str = "", last: str = "") -> None:
    """Print lines of the package, with where they stand.

    Args:
        file: Its path below src/playattention.
        name: A class, function or method in it: "AttentionHead.forward"; "": the whole file.
        first: The lines begin at the first one with this text; default: where the name begins.
        last: They end at the first one from there on with this text; default: where it ends.

    Raises:
        ValueError: If there is no such name or text.
    """
    lines = (PACKAGE / file).read_text(encoding="utf-8").splitlines()
    begin, end = _span("\n".join(lines), name)
    if first:
        begin = _line_with(lines, first, begin, end, name)
    if last:
        end = _line_with(lines, last, begin, end, name) + 1
    shown = lines[begin:end]
    indent = min(len(line) - len(line.lstrip()) for line in shown if line.strip())
    where = f"line {end}" if end == begin + 1 else f"lines {begin + 1} to {end}"
    print(f"[`{file}`](../src/playattention/{file}), {where}:\n\n```python")
    print("\n".join(line[indent:] for line in shown))
    print("```")


def _span(text: str, name: str) -> tuple[int, int]:
    """Return the first line of a definition, counted from 0, and the one after its last."""
    node: ast.AST = ast.parse(text)
    for part in filter(None, name.split(".")):
        found = [inner for inner in ast.iter_child_nodes(node) if _name(inner) == part]
        if not found:
            raise ValueError(f"no {part} of {name}")
        node = found[0]
    if isinstance(node, ast.Module):
        return 0, len(text.splitlines())
    assert isinstance(node, ast.stmt)
    return node.lineno - 1, node.end_lineno or node.lineno


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    target = node.target if isinstance(node, ast.AnnAssign) else target
    return target.id if isinstance(target, ast.Name) else ""


def _line_with(lines: list[str], text: str, begin: int, end: int, name: str) -> int:
    for number in range(begin, end):
        if text in lines[number]:
            return number
    raise ValueError(f"no line with {text!r} in {name}")


def table(head: Sequence[object], rows: Iterable[Sequence[object]], digits: int = 3) -> None:
    """Print a table; floats with so many digits after the point, a vertical bar escaped."""

    def cell(value: object) -> str:
        return (f"{value:.{digits}f}" if isinstance(value, float) else str(value)).replace(
            "|", "\\|"
        )

    print("| " + " | ".join(map(cell, head)) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(cell, row)) + " |")


def text(*lines: str) -> None:
    """Print lines as a block of plain text: arithmetic, matrices."""
    print("```text")
    print("\n".join(lines))
    print("```")


def matrix(rows: Sequence[Sequence[float | None]], names: str = "", digits: int = 2) -> None:
    """Print numbers in columns, as a block of plain text.

    Args:
        rows: The numbers; None: minus infinity.
        names: A token for each row, and for each column of a square matrix.
        digits: After the point.
    """
    cells = [["-∞" if one is None else f"{one:.{digits}f}" for one in row] for row in rows]
    shown = [visible(token) for token in names]
    if shown and len(rows[0]) == len(shown):
        cells = [shown, *cells]
        shown = ["", *shown]
    width = max(len(cell) for row in cells for cell in row)
    lines = ["  ".join(cell.rjust(width) for cell in row) for row in cells]
    text(
        *(f"{name:<3}{line}" for name, line in zip(shown or [""] * len(lines), lines, strict=True))
    )


def products(one: Sequence[float], other: Sequence[float], names: str, shown: int = 4) -> None:
    """Print a sum of products: the first of them, the rest together, and the sum.

    Args:
        one: Numbers.
        other: As many.
        names: What each is, in two words.
        shown: Products that are spelled out.
    """
    terms = [left * right for left, right in zip(one, other, strict=True)]
    head = f"{'':>9}" + "".join(f"{name:>10}" for name in (*names.split(), "product"))
    rows = zip(one[:shown], other, terms, strict=False)
    lines = [
        f"{f'place {place}':>9}{left:10.3f}{right:10.3f}{term:10.3f}"
        for place, (left, right, term) in enumerate(rows)
    ]
    rest = f"{f'places {shown} to {len(terms) - 1}, together':>29}{sum(terms[shown:]):10.3f}"
    text(head, *lines, rest, f"{'sum':>29}{sum(terms):10.3f}")


def visible(token: str) -> str:
    """Return how a token is shown, blanks and line ends included."""
    return token.replace(" ", "␣").replace("\n", "↵")


def added(numbers: Iterable[float], digits: int = 3) -> str:
    """Return numbers written as a sum: 1.20 - 0.30 + 0.07."""
    terms = [f"{'-' if number < 0 else '+'} {abs(number):.{digits}f}" for number in numbers]
    first = terms[0].replace("- ", "-").replace("+ ", "")
    return " ".join([first, *terms[1:]])


def link(what: str, **state: object) -> str:
    """Return a link to a place in the playground.

    Args:
        what: What the reader will see there: the text of the link.
        state: What is selected: view, text, step, layer, head, pos, value, index (state.js).
    """
    chosen = {"run": "plays", **state}
    words = "&".join(f"{key}={quote(str(value), safe=':,')}" for key, value in chosen.items())
    return f"[{what}]({PLAYGROUND}#{words})"


def playground(what: str, **state: object) -> None:
    """Print the command that opens the playground, and a link to a place in it, as in `link`."""
    print("```sh\nplayattention play plays\n```\n")
    print(f"then, in the page that opens: {link(what, **state)}.")


def exercise(name: str, what: str) -> None:
    """Print the command of an exercise, and what is written in it."""
    print(f"**Exercise `{name}`**: {what}\n\n```sh\nplayattention learn start {name}\n```")


def filled(page: str) -> str:
    """Return a page's text with its single numbers filled in."""

    def number(found: re.Match[str]) -> str:
        field = found["field"]
        value = eval(f"f'''{{{field}}}'''", globals())  # our own pages, checked in
        return f"{value}<!--={field}-->"

    return FIGURE.sub(number, page)


def fill(page: Path, check: bool) -> bool:
    """Fill a page in, or only look; return whether anything differs."""
    before = page.read_text(encoding="utf-8")
    words = [
        "cog",
        "--verbosity=0",
        "-P",
        "-I",
        str(HERE),
        "-p",
        "from pages import *",
        "-n",
        "utf-8",
    ]
    try:
        Cog().callable_main([*words, "--check" if check else "-r", str(page)])
        wrong = False
    except CogCheckFailed:
        wrong = True
    after = filled(page.read_text(encoding="utf-8"))
    if not check:
        page.write_text(after, encoding="utf-8")
    return wrong or before != after


def main() -> int:
    """Fill all pages in, or check them."""
    parser = argparse.ArgumentParser(description="Fill the pages in.")
    parser.add_argument("pages", nargs="*", type=Path, default=sorted(HERE.glob("*.md")))
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if any would be")
    options = parser.parse_args()
    differ = [page.name for page in options.pages if fill(page, options.check)]
    if options.check and differ:
        print(f"not up to date: {', '.join(differ)} (python docs/pages.py fills them in)")
    return int(options.check and bool(differ))


if __name__ == "__main__":
    sys.exit(main())
