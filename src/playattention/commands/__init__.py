"""The commands: name -> where its options are, what each does, and the words it prints.

They do not parse (`cli.py` does) and do not compute: they call the package and print. Torch takes
seconds to import, so a command imports what it needs when it runs.
"""

from importlib import import_module
from typing import Protocol

from playattention.errors import unknown

COMMANDS = {
    "train": "playattention.commands.train:Train",
    "generate": "playattention.commands.generate:Generate",
    "play": "playattention.commands.play:Play",
    "eval": "playattention.commands.eval:Eval",
    "xray": "playattention.commands.xray:Xray",
    "import": "playattention.commands.import_weights:ImportWeights",
    "export": "playattention.commands.export:Export",
    "learn": "playattention.commands.learn:Learn",
    "data": "playattention.commands.data:Data",
    "runs": "playattention.commands.runs:Runs",
    "plan": "playattention.commands.plan:Plan",
    "ladder": "playattention.commands.ladder:Ladder",
    "bench": "playattention.commands.bench:Bench",
    "gpu": "playattention.commands.gpu:Gpu",
}


class StoppedError(Exception):
    """A command ended early; the message is one line that says how to go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Command(Protocol):
    """Options, and what is done with them."""

    def run(self) -> None:
        """Do it.

        Raises:
            UserError: If an option is not usable.
            StoppedError: If it ended early.
        """


def command_class(name: str) -> type[Command]:
    """Return a registered command.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    module, attribute = COMMANDS[name].split(":")
    found: type[Command] = getattr(import_module(module), attribute)
    return found
