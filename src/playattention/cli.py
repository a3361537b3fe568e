"""The command line: words -> one of the commands in `commands/`, which is then run.

Does not know how anything is done; a mistake becomes one line on stderr and exit code 2.
"""

import contextlib
import io
import os
import re
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, TextIO

import tyro
from tyro.conf import AvoidSubcommands

from playattention import __version__, compiler
from playattention.commands import Command, StoppedError, command_class
from playattention.errors import UserError, unknown
from playattention.training import RECIPES

FROM_A_RECIPE = ("plan", "ladder")
"""Commands whose options fall back on a recipe: their modules have `default(recipe, preset)`."""
HELP = f"""\
playattention {__version__}: train a Transformer, look inside, change things and see

  playattention train gpt        train GPT: every attention head spelled out
  playattention train gpt2       train GPT-2: fused attention, byte-pair tokens
  playattention train modern     train what changed since: the same in fewer steps
  playattention play [RUN]       the playground page: train, look inside, change things and see
  playattention generate RUN     let a trained model write
  playattention eval RUN         measure what a model has learnt
  playattention xray RUN TEXT    watch a model's own lines run, with their numbers
  playattention import gpt2      make a run of GPT-2 as it was released
  playattention export RUN       write a run as Hugging Face's transformers reads it
  playattention learn            build each piece yourself, and be told what went wrong
  playattention data NAME        put a data set in place and say what is in it
  playattention runs             list the runs in logs/
  playattention plan RECIPE      what a training needs and how long it takes, before it starts
  playattention ladder RECIPE    what each speed switch brings on this machine
  playattention bench            what this machine does, beside what it could
  playattention gpu              what the GPU is doing, and what the figures mean

Each takes --help. A first try, without the internet:
  playattention train gpt --dataset playhouse
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code.

    Args:
        argv: The words after `playattention`; default: those of this process.

    Returns:
        0; 1 if a training diverged or an exercise is not right; 2 for a mistake of the user's; 130
        after Ctrl-C.
    """
    try:
        try:
            _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            sys.stdout.flush()  # while a reader that has left can still be noticed below
    except UserError as error:
        return _fail(error, 2)
    except StoppedError as stopped:
        return _fail(stopped, stopped.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    except RuntimeError as error:
        if (told := compiler.failure(error)) is None:
            raise
        return _fail(told, 1)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing is left to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fail(message: object, exit_code: int) -> int:
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun, one tells
        print(f"playattention: {message}", file=sys.stderr)
    return exit_code


def _run(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return
    if words[0] == "--version":
        print(__version__)
        return
    name, *rest = words
    kind = command_class(name)
    if name == "train":
        _train(rest)
    elif name in FROM_A_RECIPE:
        _from_a_recipe(name, rest)
    else:
        _parse(kind, rest, name).run()


def _train(words: list[str]) -> None:
    """Train: what the options fall back on is the recipe, or the run that goes on."""
    from playattention.commands.train import recipe_of, train_default

    resume, run = _value_of("--resume", words), _value_of("--run", words)
    if words[:1] in ([], ["-h"], ["--help"]):
        print(f"playattention train RECIPE --help, where RECIPE is one of: {', '.join(RECIPES)}")
        return
    if words[0].startswith("-"):
        words = [recipe_of(resume, run), *words]
    name, *rest = words
    default = train_default(
        name, resume, run, _value_of("--preset", rest), _value_of("--init", rest)
    )
    _parse(type(default), rest, f"train {name}", default).run()


def _from_a_recipe(name: str, words: list[str]) -> None:
    """Run a command that takes a recipe's settings; GPT-2's, where no recipe is named."""
    module = import_module(f"playattention.commands.{name}")
    unnamed = not words or words[0].startswith("-")
    chosen, rest = ("gpt2", words) if unnamed else (words[0], words[1:])
    default = module.default(chosen, _value_of("--preset", rest))
    _parse(type(default), rest, f"{name} {chosen}", default).run()


def _value_of(option: str, words: list[str]) -> str | None:
    """Return an option's value before the line is parsed, as it decides the others' defaults."""
    for word, following in zip(words, [*words[1:], None], strict=False):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return None


def _parse(
    kind: type[Command],
    words: list[str],
    name: str,
    default: Command | None = None,
) -> Command:
    """Return a command with its options; a mistake becomes one line instead of tyro's box."""
    settings: dict[str, Any] = {"prog": f"playattention {name}", "config": (AvoidSubcommands,)}
    if default is not None:
        settings["default"] = default
    told = io.StringIO()
    try:
        # Away from a terminal, whose colours and frames tyro would write into the message.
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            command, left_over = tyro.cli(kind, args=words, return_unknown_args=True, **settings)
    except SystemExit as stop:
        if not stop.code:  # --help: again, now for the terminal
            shown = _Shown(sys.stdout)
            with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
                tyro.cli(kind, args=["--help"], **settings)
            usage, rest = shown.getvalue().split("\n", 1)
            print(f"{_broken(usage)}\n{rest}", end="")
            raise
        raise UserError(_one_line(told.getvalue(), name)) from None
    if left_over:
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            tyro.cli(kind, args=["--help"], **settings)
        options = dict.fromkeys(re.findall(r"--[a-z][\w-]*(?:\.[\w-]+)*", told.getvalue()))
        raise unknown(f"option of {name}", left_over[0], options)
    found: Command = command
    return found


class _Shown(io.StringIO):
    """Keeps what is printed as it would look in a terminal, or in the pipe in its place."""

    def __init__(self, place: TextIO) -> None:
        super().__init__()
        self._place = place

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the place: it decides which frames are drawn."""
        return self._place.encoding

    def isatty(self) -> bool:
        """Tell whether there are colours."""
        return self._place.isatty()


def _broken(usage: str) -> str:
    """Return a usage line, broken between its options where the terminal ends."""
    room = shutil.get_terminal_size((80, 24)).columns
    lines = [""]
    for word in re.split(r"(?<!\|) (?=\[|--)", usage):
        plain = re.sub(r"\x1b\[[\d;]*m", "", f"{lines[-1]} {word}")
        if lines[-1] and len(plain) > room:
            lines.append(" " * 6)
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


def _missing(box: str) -> str:
    """Return in words what tyro's box lists: names, each with its help below it, further in."""
    found = re.findall(r"(?ms)^ {6}(\S[^\n]*?) *$(.*?)\(required\)", box)
    helps = [(name, " ".join(told.split()).rstrip(".")) for name, told in found]
    return " and ".join(f"{name} ({told[:1].lower()}{told[1:]})" for name, told in helps)


def _one_line(box: str, name: str) -> str:
    """Return the message of tyro's box, without its title, rules, help text and line breaks."""
    if "Missing from" in box:
        return f"{name} needs {_missing(box)} (see playattention {name} --help)"
    _, message, *parts = (" ".join(part.split()) for part in re.split(r"(?m)^ +-+ *$", box))
    usage = re.search(r"--[a-z][\w.-]* (\S+)", parts[0]) if parts else None
    allowed = f"; allowed: {usage[1]}" if usage and "Error parsing" in message else ""
    if "Error parsing config" in message:  # a setting that tells its own mistake
        return message.split(": ", 1)[1]
    return f"{message}{allowed} (see playattention {name} --help)"
