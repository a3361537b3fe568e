"""What a run leaves to its machine and only a stopwatch can tell, tried for a second on its CPU.

A few steps at the run's own sizes decide between the plain settings and others; these must be
clearly faster, as a run that is repeated should get the same. Does not know files. What was not
left open, a GPU, several processes and short runs are left alone. torch.compile is not tried on a
CPU: trying it takes as long as its start, half a minute, for 1 % (benchmarks/README.md).
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from playattention.config import RunConfig
from playattention.models import build_model
from playattention.training.distributed import Worker, ranks

WORTH_A_PROBE = 20.0
"""Seconds that a run must be expected to take."""
SECONDS_PER_TRIAL = 0.3
"""After which a trial does no further step; the first, which warms up, does not count."""
REPETITIONS = 5
"""Most steps of a trial; the fastest counts, as neighbours can only slow one down."""
CLEARLY = {"autocast": 1.05, "threads": 1.1}
"""How many times as fast as the plain settings another one must be."""
SPEED = 1e11
"""Float32 operations a second of two or three cores, to guess a run's length before any step."""
OVERHEAD = 0.004
"""Seconds that Python and PyTorch take for a step of a small model, however little it computes."""
SMALL = 3e8
"""Operations of a micro-batch, forward and backward, below which one thread may be the fastest."""


@dataclass(frozen=True)
class Trial:
    """Settings that were tried."""

    autocast: str
    threads: int
    seconds: float
    """Of a micro-batch, forward and backward: the fastest."""


@dataclass(frozen=True)
class Probed:
    """What came of a probe."""

    autocast: str
    threads: int
    trials: tuple[Trial, ...] = ()
    """The plain settings first; empty where nothing was left open, or nothing was worth it."""

    def facts(self) -> dict[str, Any]:
        """Return what a run keeps of it."""
        return asdict(self)


Stopwatch = Callable[[RunConfig, str, int], float]
"""Settings, autocast, threads -> seconds of a micro-batch."""


def probe(asked: RunConfig, decided: RunConfig, steps: int, seconds: Stopwatch) -> Probed:
    """Return the number formats and threads that a run should have.

    Args:
        asked: The run as the user asked for it, "auto" where it is open.
        decided: The same with the plain settings of this machine, its vocabulary known.
        steps: Optimizer steps of the run.
        seconds: What times a trial; `micro_batch_seconds` but in tests.
    """
    plain = Probed(decided.train.autocast, decided.train.threads or torch.get_num_threads())
    work = operations(decided)
    expected = steps * decided.grad_accum * (OVERHEAD + work / SPEED)
    if decided.train.device != "cpu" or ranks() > 1 or expected < WORTH_A_PROBE:
        return plain
    threads = _other_threads(plain.threads, work) if asked.train.threads is None else []
    formats = ["bf16"] if asked.train.autocast == "auto" and has_bf16() else []
    if not threads and not formats:
        return plain

    def tried(autocast: str, count: int) -> Trial:
        return Trial(autocast, count, seconds(decided, autocast, count))

    best = tried(plain.autocast, plain.threads)
    trials = [best]
    for count in threads:
        trials.append(tried(best.autocast, count))
        best = _faster(best, trials[-1], CLEARLY["threads"])
    for autocast in formats:
        trials.append(tried(autocast, best.threads))
        best = _faster(best, trials[-1], CLEARLY["autocast"])
    return Probed(best.autocast, best.threads, tuple(trials))


def told(probed: dict[str, Any]) -> str:
    """Return what a probe chose, and why, in one line.

    Args:
        probed: What `Probed.facts` returned.
    """
    tried = ", ".join(
        f"{_named(trial)} {1000 * trial['seconds']:.1f} ms" for trial in probed["trials"]
    )
    return f"chosen for this machine: {_named(probed)} (a micro-batch takes, with {tried})"


def operations(config: RunConfig) -> float:
    """Return the operations of a micro-batch: six a weight and token (Kaplan et al. 2020, 2.1)."""
    sizes = config.model
    weights = 12 * sizes.n_layer * sizes.n_embd**2 + sizes.vocab_size * sizes.n_embd
    return 6.0 * weights * config.train.batch_size * sizes.seq_size


def has_bf16() -> bool:
    """Tell whether this processor multiplies bf16 in hardware; others emulate it, and slowly."""
    cpu = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


def micro_batch_seconds(config: RunConfig, autocast: str, threads: int) -> float:
    """Return how long a micro-batch takes, forward and backward, on this machine's CPU.

    Torch's random numbers and its number of threads are left as they were.

    Args:
        config: The run, all decided; its batch is cut to what takes about a tenth of a second.
        autocast: "off" or "bf16".
        threads: CPU threads.
    """
    sizes, before = config.model, torch.get_num_threads()
    share = min(1.0, 0.1 * SPEED / operations(config))
    sequences = max(1, int(share * config.train.batch_size))
    tokens = torch.zeros((sequences, sizes.seq_size), dtype=torch.int64)
    worker = Worker(torch.device("cpu"), torch.bfloat16 if autocast == "bf16" else None)
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            model = build_model(sizes)
            taken: list[float] = []
            while len(taken) <= REPETITIONS and sum(taken[1:]) < SECONDS_PER_TRIAL:
                started = time.perf_counter()
                with worker.autocast():
                    loss = model(tokens, tokens)[1]
                loss.backward()
                taken.append(time.perf_counter() - started)
            return min(taken[1:])
    finally:
        torch.set_num_threads(before)


def _other_threads(plain: int, work: float) -> list[int]:
    """Return the numbers of threads that may be faster than the plain one."""
    cores = psutil.cpu_count(logical=False) or plain
    small = [1] if work < SMALL else []
    return [count for count in dict.fromkeys([cores, *small]) if count < plain]


def _faster(best: Trial, other: Trial, clearly: float) -> Trial:
    return other if best.seconds > clearly * other.seconds else best


def _named(choice: dict[str, Any]) -> str:
    threads = f"{choice['threads']} thread{'s' if choice['threads'] > 1 else ''}"
    formats = "float32" if choice["autocast"] == "off" else choice["autocast"]
    return f"{formats}, {threads}"
