"""Started by torchrun in the tests: trains a run and writes down what each rank did.

    torchrun ... ranked.py FOLDER NOTES [--stop STEP] [--kill RANK:STEP:WHERE]

NOTES/RANK.jsonl gets a line for each micro-batch: the step and where its windows start. --stop asks
the last rank, by a signal, to stop at a step. --kill ends a rank once, by SIGKILL, in a step
("update") or in the save that follows it ("save").
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from playattention.data.loader import WindowStream
from playattention.training import checkpoint, loop
from playattention.training.loop import Trainer

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("notes", type=Path)
parser.add_argument("--stop", type=int)
parser.add_argument("--kill")
options = parser.parse_args()
rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
notes = (options.notes / f"{rank}.jsonl").open("a", buffering=1)
now = 0


def noted_batch(self, position, count, *, batch=WindowStream.batch):
    """Cut out windows, and write down which."""
    notes.write(json.dumps([now, self.starts(position, count).tolist()]) + "\n")
    return batch(self, position, count)


def noted_update(self, *, update=Trainer.update):
    """Do a step, and in it what the options ask for."""
    global now  # noqa: PLW0603 - the batch is not told its step
    now = self.step + 1
    if now == options.stop and rank == ranks - 1:
        signal.raise_signal(signal.SIGINT)
    kill_once("update", now)
    return update(self)


def noted_save(tensors, path, *, save_file=checkpoint.save_file):
    """Write a file of a checkpoint, and stop half-way if the options ask for it."""
    save_file(tensors, path)
    kill_once("save", now)


def kill_once(where, step):
    """Die as the options ask for, in the first life alone."""
    died = options.notes / "died"
    if options.kill == f"{rank}:{step}:{where}" and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)


WindowStream.batch, Trainer.update, checkpoint.save_file = noted_batch, noted_update, noted_save
try:
    loop.resume(options.folder, quiet=True)
except loop.TrainingStoppedError:
    sys.exit(0)
