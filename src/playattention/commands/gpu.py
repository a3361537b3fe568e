"""`playattention gpu`: what `watch -n 0.5 nvidia-smi` shows, and what the figures mean."""

import time
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from playattention.errors import UserError
from playattention.training.readings import GIB, Holder, Reading, read_cpu, read_gpus

GPU_MEANS = {
    "memory": "Held by all processes together. PyTorch keeps what it once took, so this hardly "
    "falls while a training runs; a step that needs more than is left ends in an "
    "out-of-memory error.",
    "utilisation": "Share of the time in which the GPU had any work at all. Not how much of the "
    "GPU was busy: one small kernel after another also gives 100 %. How much was used "
    "tells the MFU of `playattention ladder`. Well below 100 % the GPU waits, for data or Python.",
    "heat, power": "Near its power limit the GPU lowers its clock; near its heat limit too.",
    "processes": "Who holds the memory. One left over from a crash holds it until it is ended.",
}
CPU_MEANS = {
    "memory": "In use by all processes, of what this machine or container may use. When it is "
    "full, the system stops a process, or everything becomes very slow.",
    "utilisation": "Share of the time in which the cores had work, mean over all cores.",
    "heat, power": "",
    "processes": "Those that hold most of the memory.",
}
SHOWN_HOLDERS = 3


@dataclass(frozen=True)
class Gpu:
    """Show what the GPU is doing, as nvidia-smi does, and explain each figure."""

    every: float | None = None
    """Seconds between readings, anew until Ctrl-C, say 0.5; default: one reading."""

    def run(self) -> None:
        """Print the readings, once or until Ctrl-C."""
        if self.every is not None and not 0.1 <= self.every <= 3600:
            raise UserError(f"every = {self.every}: must be 0.1 to 3600 seconds")
        console = Console(highlight=False, markup=False, emoji=False)
        if self.every is None:
            console.print(_shown())
            return
        try:
            with Live(_shown(), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(self.every)
                    live.update(_shown(), refresh=True)
        except KeyboardInterrupt:
            return  # the only way to end it


def _shown() -> RenderableType:
    """Return a table for each device."""
    gpus = read_gpus()
    if gpus:
        tables = [_table(f"GPU {i}: ", gpu, GPU_MEANS) for i, gpu in enumerate(gpus)]
        return Group(*tables)
    return Group(
        "No NVIDIA GPU was found; this is the CPU.", _table("CPU: ", read_cpu(), CPU_MEANS)
    )


def _table(kind: str, reading: Reading, means: dict[str, str]) -> Table:
    figures = {
        "memory": _memory(reading),
        "utilisation": _known(reading.utilisation, "{:.0%}"),
        "heat, power": _heat_and_power(reading),
        "processes": "\n".join(_holder(holder) for holder in reading.holders[:SHOWN_HOLDERS]),
    }
    table = Table(title=kind + reading.name, title_justify="left", box=None, pad_edge=False)
    table.add_column("reading", no_wrap=True)
    table.add_column("now", max_width=30)
    table.add_column("what it means")
    for name, figure in figures.items():
        if means[name]:
            table.add_row(name, figure or "none told", means[name])
    return table


def _memory(reading: Reading) -> str:
    if reading.memory_used is None or reading.memory_total is None:
        return "not told"
    used, total = reading.memory_used / GIB, reading.memory_total / GIB
    return f"{used:.1f} of {total:.1f} GiB ({used / total:.0%})"


def _heat_and_power(reading: Reading) -> str:
    limit = "" if reading.watts_limit is None else f" of {reading.watts_limit:.0f}"
    degrees = _known(reading.temperature, "{} °C")
    return f"{degrees}, {_known(reading.watts, '{:.0f}' + limit + ' W')}"


def _known(figure: float | None, form: str) -> str:
    return "not told" if figure is None else form.format(figure)


def _holder(holder: Holder) -> str:
    size = "" if holder.memory is None else f" {holder.memory / GIB:.1f} GiB"
    return f"{holder.pid} {holder.name}{size}"
