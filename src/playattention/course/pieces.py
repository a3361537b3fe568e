"""Earlier pieces of the course, for the later ones: `from playattention.course.pieces import ...`.

They are the references of the exercises, whoever has solved which.
"""

from playattention.course.exercises.e01_tokenizer import build_vocab, decode, encode
from playattention.course.exercises.e03_batches import get_batch, split_data
from playattention.course.exercises.e04_embedding import embed, new_tables
from playattention.course.exercises.e06_causal_mask import causal_softmax
from playattention.course.exercises.e15_next_token import generate, next_token

__all__ = [
    "build_vocab",
    "causal_softmax",
    "decode",
    "embed",
    "encode",
    "generate",
    "get_batch",
    "new_tables",
    "next_token",
    "split_data",
]
