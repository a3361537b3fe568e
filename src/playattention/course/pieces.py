"""Earlier pieces of the course, for the later ones: `from playattention.course.pieces import ...`.

They are the references of the exercises, whoever has solved which.
"""

from playattention.course.exercises.e05_one_head import attend
from playattention.course.exercises.e06_causal_mask import causal_softmax
from playattention.course.exercises.e07_many_heads import MultiHeadAttention, merge, split
from playattention.course.exercises.e08_layer_norm import layer_norm
from playattention.course.exercises.e09_feed_forward import FeedForward
from playattention.course.exercises.e10_block import Block
from playattention.course.exercises.e12_gpt import GPT

__all__ = [
    "GPT",
    "Block",
    "FeedForward",
    "MultiHeadAttention",
    "attend",
    "causal_softmax",
    "layer_norm",
    "merge",
    "split",
]
