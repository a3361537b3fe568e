"""Earlier pieces of the course, for the later ones: `from playattention.course.pieces import ...`.

They are the references of the exercises, whoever has solved which.
"""

from playattention.course.exercises.e01_tokenizer import build_vocab, decode, encode
from playattention.course.exercises.e03_batches import get_batch, split_data
from playattention.course.exercises.e04_embedding import embed, new_tables
from playattention.course.exercises.e05_one_head import attend
from playattention.course.exercises.e06_causal_mask import causal_softmax
from playattention.course.exercises.e07_many_heads import MultiHeadAttention, merge, split
from playattention.course.exercises.e08_layer_norm import layer_norm
from playattention.course.exercises.e09_feed_forward import FeedForward
from playattention.course.exercises.e10_block import Block
from playattention.course.exercises.e11_lm_loss import lm_loss
from playattention.course.exercises.e12_gpt import GPT
from playattention.course.exercises.e13_train_step import evaluate, train_step
from playattention.course.exercises.e14_optimizer import clip, lr, param_groups
from playattention.course.exercises.e15_next_token import generate, next_token

__all__ = [
    "GPT",
    "Block",
    "FeedForward",
    "MultiHeadAttention",
    "attend",
    "build_vocab",
    "causal_softmax",
    "clip",
    "decode",
    "embed",
    "encode",
    "evaluate",
    "generate",
    "get_batch",
    "layer_norm",
    "lm_loss",
    "lr",
    "merge",
    "new_tables",
    "next_token",
    "param_groups",
    "split",
    "split_data",
    "train_step",
]
