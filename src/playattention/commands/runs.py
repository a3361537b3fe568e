"""`playattention runs`: what lies in logs/."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from playattention.errors import UserError


@dataclass(frozen=True)
class Runs:
    """List the runs in logs/."""

    def run(self) -> None:
        """Print a line for each, from its files alone."""
        from playattention.training.run import LOGS, all_runs

        folders = all_runs()
        if not folders:
            print(f"no runs in {LOGS}/ yet; start one: playattention train gpt")
            return
        table = Table(
            "run", "data", "tokenizer", "step", "saved", "of", "val loss", "floor", box=None
        )
        unreadable = []
        for folder in folders:
            try:
                table.add_row(folder.name, *_facts(folder))
            except UserError as error:
                unreadable.append(f" unreadable: {error}")
        # So wide that no name is cut, in a pipe neither: it is what other commands take.
        Console(highlight=False, markup=False, emoji=False, width=1000).print(table)
        for line in unreadable:
            print(line)


def _facts(folder: Path) -> list[str]:
    from playattention.training.checkpoint import saved_steps
    from playattention.training.report import read_log
    from playattention.training.run import NO_TEXT, read_config, read_facts

    config = read_config(folder)
    if config.data.dataset == NO_TEXT:
        return ["(imported)", config.data.tokenizer, "0", "0", "", "", ""]
    facts = read_facts(folder)
    rows = read_log(folder)
    losses = [row.eval_val_loss for row in rows if row.eval_val_loss is not None]
    return [
        Path(facts.name).name,
        config.data.tokenizer,
        f"{rows[-1].step:,}" if rows else "0",
        f"{max(saved_steps(folder), default=0):,}",
        f"{config.steps(facts.train_tokens):,}",
        f"{losses[-1]:.4f}" if losses else "",
        f"{facts.floor:.4f}" if facts.floor is not None else "",
    ]
