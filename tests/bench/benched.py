"""Results made up for the tests, and a scale of seconds."""

from playattention.bench.parts import Scale
from playattention.bench.results import Figure, Growth, LimitEntry, Results, entry, growth_entry
from playattention.config import GPT2Config

TINY = Scale(
    repetitions=1,
    seeds=1,
    laptop={"n_layer": 1, "n_head": 2, "n_embd": 16, "seq_size": 64},
    large=GPT2Config(n_layer=1, n_head=2, n_embd=32, seq_size=32, vocab_size=211),
    large_tokens=16,
    steps=6,
    goals={"playhouse": 4.1, "tinyshakespeare": 4.1},
    eval_every=5,
    written=4,
    large_written=4,
    batch=3,
    ingested=30_000,
    encoded=10_000,
    watched=16,
    growth={"T": 8, "width": 32, "layers": 1, "batch": 1},
    growth_axes={"T": (8, 16), "width": (32, 64), "layers": (1, 2), "batch": (1, 2)},
)

RESULTS = Results(
    date="2026-11-22T10:00:00+00:00",
    machine={
        "processor": "A processor with a long name @ 2.00GHz",
        "device": "cpu",
        "computes_on": "cpu",
        "threads": 2,
        "torch": "2.13.0",
    },
    settings={"repetitions": 3},
    limits=[
        LimitEntry(name="fp32", best=180e9, raw=[150e9, 180e9]),
        LimitEntry(name="read", best=36e9, raw=[36e9, 35e9]),
    ],
    figures=[
        entry(Figure("training", "gpt 4x128", "tokens/s", [90.0, 100.0, 110.0], {"a": 1}), 0.005),
        entry(Figure("loss", "gpt to 2.2", "s", [30.0, 60.0], note="1 of 3 seeds did not"), None),
        entry(Figure("page", "a head's map", "ms", [1.5, 1.6, 1.7]), None),
    ],
    growth=[
        growth_entry(
            Growth("step", axis, [1, 2, 4], [[1.0], [2.0], [4.0]], [{}] * 3), [0.0005, 0.001, 0.002]
        )
        for axis in ("T", "layers")
    ],
    seconds={"limits": 2.0},
    missing={"bf16": "emulated"},
)
