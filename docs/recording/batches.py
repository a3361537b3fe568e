"""Windows of the training split, in their two orders, and who gets which of several ranks."""

import numpy as np

from playattention.data.loader import WindowStream, share
from recording.opened import Opened


def record(opened: Opened) -> dict[str, object]:
    """Return the run's first batch, what an epoch visits, and shares of two ranks."""
    config, tokens = opened.run.config, opened.splits.train
    T, B, seed = config.model.seq_size, config.train.batch_size, config.train.seed
    streams = {
        "permutation": WindowStream(tokens, T, seed, "permutation"),
        "random": WindowStream(tokens, T, seed, "random"),
    }
    x, y = streams["permutation"].batch(0, B)
    decode = opened.run.tokenizer.decode
    return {
        "T": T,
        "B": B,
        "seed": seed,
        "starts": streams["permutation"].starts(0, B).tolist(),
        "random_starts": streams["random"].starts(0, B).tolist(),
        "x": x[0, :12],
        "y": y[0, :12],
        "x_text": decode(x[0].tolist()),
        "first_texts": [decode(row[:40].tolist()) for row in x],
        "windows_per_epoch": streams["permutation"].windows_per_epoch,
        "steps_per_epoch": streams["permutation"].windows_per_epoch / B,
        "visited": {kind: _visited(stream, len(tokens)) for kind, stream in streams.items()},
        "shares": {
            ranks: [list(share(0, B, 4, rank, ranks)) for rank in range(ranks)]
            for ranks in (1, 2, 4)
        },
    }


def _visited(stream: WindowStream, length: int) -> dict[str, float]:
    """Return the share of positions that one epoch's worth of windows visits so often."""
    times = np.zeros(length + 1, dtype=np.int64)
    starts = stream.starts(0, stream.windows_per_epoch).astype(np.int64)
    ends = starts + stream.seq_size
    np.add.at(times, starts, 1)
    np.add.at(times, np.minimum(ends, length), -1)
    np.add.at(times, [0], (ends > length).sum())  # round the end of the circle
    np.add.at(times, np.where(ends > length, ends - length, length), -1)
    counts = times.cumsum()[:length]
    return {
        "never": float((counts == 0).mean()),
        "once": float((counts == 1).mean()),
        "more": float((counts > 1).mean()),
        "most": float(counts.max()),
    }
