"""GPT against torch's own attention and a plain computation."""

import torch
import torch.nn.functional as F
from torch import nn

from playattention.config import GPTConfig
from playattention.models.model_gpt import GPTModel, MultiHeadAttention, TransformerBlock

CONFIG = GPTConfig(vocab_size=11, seq_size=7, n_embd=12, n_head=3, n_layer=2)


def test_attention_equals_torchs_multihead_attention() -> None:
    torch.manual_seed(0)
    ours = MultiHeadAttention(CONFIG).double()
    theirs = nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(
            torch.cat(
                [
                    torch.cat([getattr(head, part).weight for head in ours.heads])
                    for part in ("query", "key", "value")
                ]
            )
        )
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(ours.projection.weight)
        theirs.out_proj.bias.copy_(ours.projection.bias)
    x = torch.randn(2, 6, 12, dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(6, dtype=torch.float64)
    expected, _ = theirs(x, x, x, attn_mask=mask, need_weights=False)
    torch.testing.assert_close(ours(x), expected, rtol=1e-12, atol=1e-12)


def test_block_equals_torchs_encoder_layer_with_the_norms_first() -> None:
    torch.manual_seed(0)
    ours = TransformerBlock(CONFIG).double()
    theirs = nn.TransformerEncoderLayer(
        12, 3, 48, dropout=0.0, activation="relu", batch_first=True, norm_first=True
    ).double()
    for weight in ours.parameters():
        nn.init.normal_(weight, std=0.3)
    heads = ours.attention.heads
    pairs = {
        theirs.self_attn.in_proj_weight: torch.cat(
            [torch.cat([getattr(h, p).weight for h in heads]) for p in ("query", "key", "value")]
        ),
        theirs.self_attn.in_proj_bias: torch.zeros(36),
        theirs.self_attn.out_proj.weight: ours.attention.projection.weight,
        theirs.self_attn.out_proj.bias: ours.attention.projection.bias,
        theirs.linear1.weight: ours.feed_forward.expand.weight,
        theirs.linear1.bias: ours.feed_forward.expand.bias,
        theirs.linear2.weight: ours.feed_forward.contract.weight,
        theirs.linear2.bias: ours.feed_forward.contract.bias,
        theirs.norm1.weight: ours.attention_norm.weight,
        theirs.norm1.bias: ours.attention_norm.bias,
        theirs.norm2.weight: ours.feed_forward_norm.weight,
        theirs.norm2.bias: ours.feed_forward_norm.bias,
    }
    with torch.no_grad():
        for weight, value in pairs.items():
            weight.copy_(value)
    x = torch.randn(2, 6, 12, dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(6, dtype=torch.float64)
    expected = theirs(x, src_mask=mask, is_causal=True)
    torch.testing.assert_close(ours(x), expected, rtol=1e-12, atol=1e-12)


def test_attention_is_scaled_by_the_head_size_not_the_width() -> None:
    head = MultiHeadAttention(CONFIG).heads[0]
    assert head.scale == 4**-0.5


def test_dropping_the_scale_and_the_mask_by_their_handles_changes_the_result() -> None:
    torch.manual_seed(0)
    head = MultiHeadAttention(CONFIG).heads[0]
    for weight in head.parameters():
        nn.init.normal_(weight)
    x = torch.randn(1, 6, 12)
    plain = head(x)
    head.scale = 1.0
    unscaled = head(x)
    assert not torch.allclose(plain, unscaled)
    head.causal_mask.fill_(True)
    query, key, value = head.query(x), head.key(x), head.value(x)
    expected = F.softmax(query @ key.transpose(1, 2), dim=-1) @ value
    torch.testing.assert_close(head(x), expected)


def test_the_head_is_not_tied_to_the_embedding() -> None:
    model = GPTModel(CONFIG)
    assert model.head.weight.data_ptr() != model.token_embedding.weight.data_ptr()


def test_state_dict_holds_weights_alone() -> None:
    model = GPTModel(CONFIG)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
