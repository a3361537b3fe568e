"""The exercise on GPT-2's weights, against `transformers` itself."""

import torch
from transformers import GPT2Config as TheirConfig
from transformers import GPT2LMHeadModel

from playattention.config import GPT2Config
from playattention.course import exercise
from playattention.course.exercises.e17_convert_gpt2 import _theirs, convert_gpt2
from playattention.course.judge import load
from playattention.models.model_gpt2 import GPT2Model

SIZES = {"vocab_size": 7, "n_embd": 6, "n_head": 2, "n_layer": 2}


def their_model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(TheirConfig(n_positions=5, **SIZES)).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model


def test_our_model_with_the_converted_weights_has_the_logits_of_theirs():
    theirs, idx = their_model(), torch.tensor([[3, 1, 6, 0]])
    for source in (exercise("convert_gpt2").solution, *exercise("convert_gpt2").equivalents):
        ours = GPT2Model(GPT2Config(seq_size=5, vocab_multiple=1, **SIZES)).eval()
        ours.load_state_dict(load(source, "own").convert_gpt2(theirs.state_dict()))
        torch.testing.assert_close(ours(idx)[0], theirs(idx).logits)


def test_the_exercise_gives_names_and_shapes_that_transformers_gives():
    theirs = {name: weight.shape for name, weight in their_model().state_dict().items()}
    assert {name: weight.shape for name, weight in _theirs(0, 2).items()} == theirs


def test_the_reference_leaves_out_what_the_old_file_carries_and_no_more():
    assert set(convert_gpt2(_theirs(0, 2, old=True))) == set(convert_gpt2(_theirs(0, 2)))
