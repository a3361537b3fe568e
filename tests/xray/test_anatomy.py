"""The parts of a model are found by their names alone."""

import pytest
import torch
from torch import nn

from playattention.errors import UserError
from playattention.xray.anatomy import anatomy, own_logits, passed
from tests.xray.edited import EVERY, ids, recalling, small


@pytest.mark.parametrize("name", EVERY)
def test_every_block_is_found_with_its_heads(name: str):
    parts = anatomy(small(name))
    assert [block.path for block in parts.blocks] == ["blocks.0", "blocks.1"]
    assert [block.n_head for block in parts.blocks] == [3, 3]
    assert all(block.projection.shape == (12, 12) for block in parts.blocks)


@pytest.mark.parametrize("name", ["gpt", "gpt2"])
def test_the_biases_are_those_of_the_model(name: str):
    model = small(name)
    block = anatomy(model).blocks[1]
    assert torch.equal(block.projection_bias, model.blocks[1].attention.projection.bias)
    assert torch.equal(block.contract_bias, model.blocks[1].feed_forward.contract.bias)


def test_a_head_of_its_own_comes_before_the_embedding():
    model = small("gpt")
    assert torch.equal(anatomy(model).unembedding, model.head.weight)
    tied = small("gpt2")
    assert torch.equal(anatomy(tied).unembedding, tied.token_embedding.weight)


def test_a_model_without_positions_and_biases_has_none():
    parts = anatomy(small("bare"))
    assert parts.embeddings == {"token_embedding": "token_embedding"}
    assert parts.blocks[0].projection_bias is None
    assert parts.blocks[0].contract_bias is None
    assert parts.unembedding_bias.shape == (11,)


def test_where_the_tokens_are_normed_first_the_stream_begins_with_that():
    parts = anatomy(small("modern"))
    assert parts.embeddings == {"token_embedding": "embedding_norm"}
    assert parts.blocks[0].projection_bias is parts.unembedding_bias is None


def test_the_number_of_heads_is_that_of_the_modules_where_each_is_one():
    model = small("gpt")
    attention = model.blocks[1].attention
    attention.heads = attention.heads[:2]
    attention.projection = nn.Linear(8, 12)
    assert [block.n_head for block in anatomy(model).blocks] == [3, 2]


@pytest.mark.parametrize(
    "missing",
    ["token_embedding", "final_norm", "blocks.1.feed_forward", "blocks.0.attention.projection"],
)
def test_a_model_without_a_part_is_refused_by_its_name(missing: str):
    model = small("gpt")
    parent, _, child = missing.rpartition(".")
    setattr(model.get_submodule(parent), child, None)
    with pytest.raises(UserError, match=rf"^model = GPTModel: has no '{missing}") as refused:
        anatomy(model)
    assert "\n" not in str(refused.value)


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(UserError, match="has no 'token_embedding'; allowed"):
        anatomy(nn.Linear(2, 2))


def test_heads_that_do_not_divide_the_projection_are_refused():
    model = small("gpt2")
    model.config = model.config.model_copy(update={"n_head": 5})
    with pytest.raises(UserError, match="n_head = 5: does not divide the 12 inputs"):
        anatomy(model)


def test_a_wrapped_model_is_refused():
    with pytest.raises(UserError, match="it is wrapped for several devices"):
        anatomy(nn.DataParallel(small("gpt")))


@pytest.mark.parametrize("name", EVERY)
def test_what_goes_through_the_parts_is_what_the_model_adds_up(name: str):
    model = small(name)
    seen = passed(model, ids(2, 5), anatomy(model).paths)
    added = [seen.outputs[path] for path in anatomy(model).embeddings.values()]
    for block in ("blocks.0", "blocks.1"):
        added.append(seen.outputs[f"{block}.attention.projection"])
        added.append(seen.outputs[f"{block}.feed_forward"])
    torch.testing.assert_close(sum(added), seen.inputs["final_norm"])
    assert torch.equal(seen.inputs["blocks.1"], seen.outputs["blocks.0"])


def test_a_pass_leaves_no_hook_and_the_mode_as_it_was():
    model = small("gpt", dropout=0.5).train()
    idx = ids(1, 5)
    seen = passed(model, idx, anatomy(model).paths)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(seen.logits, own_logits(model, idx))


def test_a_module_that_is_not_called_is_told():
    model = small("gpt")
    model.spare = nn.Linear(2, 2)
    with pytest.raises(UserError, match="its module 'spare' was not called"):
        passed(model, ids(1, 3), ["spare"])


def test_tokens_that_do_not_fit_are_told():
    with pytest.raises(UserError, match="the model takes seq_size = 7 at most"):
        own_logits(small("gpt"), ids(1, 8))


def test_a_subclass_is_read_like_its_base():
    assert anatomy(recalling()).paths == anatomy(small("gpt")).paths
