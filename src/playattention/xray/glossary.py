"""What each value of the registered models means, how it is computed, and its shape in symbols.

A new model is one table in `TABLES`: the module's role, then the function, then the name. Words
that several models share stand once, in `glossary_words.py`; the statements that they are about
are in `glossary_statements.py`. Symbols are those of the models' legends; where a text is read at
once, as in a watch, S is T.
"""

import ast
import linecache
from dataclasses import dataclass
from functools import lru_cache

from playattention.xray.glossary_statements import STATEMENTS
from playattention.xray.glossary_words import WORDS
from playattention.xray.values import Value

Key = tuple[str, str, str]
"""Role of a module (`heads` for `blocks.0.attention.heads.1`), function, name."""
Table = dict[tuple[str, str], dict[str, tuple[str, str]]]
"""Role and function -> name -> shape, and the entry of `WORDS`."""


@dataclass(frozen=True)
class Entry:
    """What a value is."""

    meaning: str
    """In plain words."""
    formula: str
    shape: str
    """In symbols: "(B, T, C)"; of one element, if the value is in a list."""

    def __str__(self) -> str:
        return f"{self.meaning}\n{self.formula}  {self.shape}"


def _same(shape: str, names: str) -> dict[str, tuple[str, str]]:
    """Return names of one shape whose words are called as they are."""
    return {name: (shape, name) for name in names.split()}


_ENDS = {
    **_same("(B, T, C)", "token_embedded"),
    "x#0": ("(B, T, C)", "start of the stream"),
    "x": ("(B, T, C)", "stream"),
    "loss": ("()", "loss"),
    "return[0]": ("(B, T, V)", "scores handed back"),
    "return[1]": ("()", "loss handed back"),
}
_EMBEDDING = {
    **_same("(T)", "positions"),
    **_same("(T, C)", "position_embedded"),
    **_same("(B, T, C)", "embedded normed"),
    **_ENDS,
}


def _block(norm: str = "") -> Table:
    return {
        ("blocks", "forward"): {
            **_same("(B, T, C)", "attended x_attended computed"),
            "attention_input": ("(B, T, C)", f"attention_input{norm}"),
            "feed_forward_input": ("(B, T, C)", f"feed_forward_input{norm}"),
            "return": ("(B, T, C)", "end of a block"),
        }
    }


def _attention_end(bias: str = "") -> dict[str, tuple[str, str]]:
    return {
        **_same("(B, T, C)", "joined"),
        "projected": ("(B, T, C)", f"projected{bias}"),
        "return": ("(B, T, C)", "end of attention"),
    }


_THIRDS = {name: ("(B, H, T, D)", f"{name} of a third") for name in ("query", "key", "value")}
_SPLIT: Table = {("attention", "_split"): {"return": ("(B, H, T, D)", "split")}}
_STEPS = "scores scaled masked weights dropped"
_ATTEND: Table = {
    ("attention", "_attend"): {
        **_same("(B, H, T, S)", _STEPS),
        "mixed": ("(B, H, T, D)", "mixed"),
        "return": ("(B, H, T, D)", "end of a head"),
    }
}


def _feed_forward(activation: str, bias: str = "") -> Table:
    return {
        ("feed_forward", "forward"): {
            "hidden": ("(B, T, 4C)", f"hidden{bias}"),
            **({"rectified": ("(B, T, 4C)", "rectified")} if "squared" in activation else {}),
            "activated": ("(B, T, 4C)", f"activated by {activation}"),
            "contracted": ("(B, T, C)", f"contracted{bias}"),
            "return": ("(B, T, C)", "end of the feed-forward"),
        }
    }


TABLES: dict[str, Table] = {
    "gpt": {
        ("", "forward"): {**_EMBEDDING, "logits": ("(B, T, V)", "logits")},
        **_block(),
        ("attention", "forward"): {"mixed": ("(B, T, D)", "mixed by a head"), **_attention_end()},
        ("heads", "forward"): {
            **_same("(B, T, D)", "query key value mixed"),
            **_same("(B, S, D)", "keys values"),
            **_same("(B, T, S)", _STEPS),
            "return": ("(B, T, D)", "end of a head"),
        },
        **_feed_forward("relu"),
    },
    "gpt2": {
        ("", "forward"): {
            **_EMBEDDING,
            "padded_logits": ("(B, T, P)", "padded_logits"),
            "logits": ("(B, T, V)", "logits without padding"),
        },
        **_block(),
        ("attention", "forward"): {
            "fused": ("(B, T, 3C)", "fused"),
            **_THIRDS,
            **_same("(B, H, S, D)", "keys values"),
            "mixed": ("(B, H, T, D)", "mixed"),
            **_attention_end(),
        },
        **_SPLIT,
        **_ATTEND,
        **_feed_forward("gelu"),
    },
    "modern": {
        ("", "forward"): {
            **_ENDS,
            "embedded": ("(B, T, C)", "embedded by rms"),
            "normed": ("(B, T, C)", "normed by rms"),
            "logits": ("(B, T, V)", "logits"),
        },
        **_block(" by rms"),
        ("attention", "forward"): {
            "fused": ("(B, T, 3C)", "fused without bias"),
            **_THIRDS,
            **_same("(B, H, T, D)", "query_normed key_normed query_turned key_turned"),
            "keys": ("(B, H, S, D)", "keys that were turned"),
            **_same("(B, H, S, D)", "values"),
            "mixed": ("(B, H, T, D)", "mixed"),
            **_attention_end(" without bias"),
        },
        ("rotation", "forward"): {
            **_same("(T, D/2)", "cosine sine"),
            **_same("(B, H, T, D/2)", "first second first_turned second_turned"),
            "return": ("(B, H, T, D)", "end of a rotation"),
        },
        **_SPLIT,
        **_ATTEND,
        **_feed_forward("relu squared", " without bias"),
    },
}
"""One table for each registered model."""

GLOSSARY: dict[str, dict[Key, Entry]] = {
    model: {
        (*place, name): Entry(*WORDS[words], shape)
        for place, names in table.items()
        for name, (shape, words) in names.items()
    }
    for model, table in TABLES.items()
}
"""Model -> role, function and name -> entry."""


def meaning(value: Value) -> Entry | None:
    """Return what a value means.

    Args:
        value: Of a registered model, or of an edited one: then its statement must still be the
            released model's own, layout and comments aside.

    Returns:
        The entry; None if there is none.
    """
    found: dict[str, Entry] = {}
    for model, entries in GLOSSARY.items():
        known = key(value, entries)
        if known is None:
            continue
        place, function, name = known
        released = STATEMENTS[model][place, function][name].splitlines()
        if _plain(value.source) in map(_plain, released):
            found[model] = entries[known]
    if len(set(found.values())) < 2:
        return next(iter(found.values()), None)
    # The same words call another kind of module: the rest of the file tells which model's.
    return found[max(found, key=lambda model: _likeness(value.file, model))]


def key(value: Value, entries: dict[Key, Entry]) -> Key | None:
    """Return under which key a model has an entry for a value, by names alone; None: it has none.

    Args:
        value: The value.
        entries: The model's part of `GLOSSARY`.
    """
    names = (f"{value.name}#{value.occurrence}", value.name, value.variable)
    keys = ((role(value.module), value.function, name) for name in names)
    return next((one for one in keys if one in entries), None)


def role(module: str) -> str:
    """Return what a module is called in its parent, numbers left out: `heads`, `attention`."""
    names = [name for name in module.split(".") if not name.isdecimal()]
    return names[-1] if names else ""


def _likeness(file: str, model: str) -> tuple[int, bool]:
    """Return how much of a model's own statements a file has, then whether it has its name."""
    return _shared("".join(linecache.getlines(file)), model), file.endswith(f"model_{model}.py")


@lru_cache(maxsize=64)
def _shared(text: str, model: str) -> int:
    """Return how many of a model's statements stand in a text."""
    own = (told for place in STATEMENTS[model].values() for told in place.values())
    return sum(line in text for statements in own for line in statements.splitlines())


@lru_cache(maxsize=1024)
def _plain(statement: str) -> str:
    """Return a statement without its layout and comments."""
    try:
        return ast.unparse(ast.parse(statement))
    except SyntaxError:  # the head of a loop
        return statement
