"""Mistakes that people make in exercise 17."""

from playattention.course.exercise import Mistake

READ = "docs/14-results.md#released-weights"
TURNED = 'is_turned = ".c_" in module and kind == "weight"'
SKIP = 'if name == "lm_head.weight" or name.endswith((".attn.bias", ".attn.masked_bias")):'
KEPT = 'converted[f"{block}{ours[module]}.{kind}"] = '
SET = f"{KEPT}weight.T if is_turned else weight"


def _fused(order: str) -> tuple[tuple[str, str], ...]:
    """Edit the rows of query, key and value into another order."""
    lines = (
        "kept = weight.T if is_turned else weight",
        f'{KEPT}{order} if module == "attn.c_attn" else kept',
    )
    return ((SET, "\n        ".join(lines)),)


MISTAKES = (
    Mistake(
        "nothing is turned",
        ((TURNED, "is_turned = False"),),
        "Their linear layers are kept as (inputs, outputs), torch's as (outputs, inputs). The matrices of c_attn, c_proj, c_fc and c_proj have to be transposed.",
        READ,
    ),
    Mistake(
        "only what does not fit is turned",
        ((TURNED, f"{TURNED} and weight.shape[0] != weight.shape[1]"),),
        "attn.c_proj is square: it fits either way, and loads without a word, but is turned as well. Go by the name, not by the shape.",
        READ,
    ),
    Mistake(
        "the embedding tables are turned, too",
        ((TURNED, 'is_turned = kind == "weight" and weight.dim() == 2'),),
        "wte and wpe are tables, one row for each token or position, in both layouts. Only the four c_ layers are turned.",
        READ,
    ),
    Mistake(
        "cut anew instead of turned",
        (("weight.T if", "weight.reshape(weight.shape[::-1]) if"),),
        "reshape and view keep the numbers in their order and only cut them into other rows. Rows have to become columns: T or transpose.",
        READ,
    ),
    Mistake(
        "key, query, value",
        _fused("torch.cat([kept.chunk(3)[part] for part in (1, 0, 2)])"),
        "Query and key have changed places. In c_attn and in ours the order is query, key, value.",
        READ,
    ),
    Mistake(
        "value, query, key",
        _fused("torch.cat([kept.chunk(3)[part] for part in (2, 0, 1)])"),
        "The three parts are one place off. In c_attn and in ours the order is query, key, value.",
        READ,
    ),
    Mistake(
        "value, key, query",
        _fused("torch.cat([kept.chunk(3)[part] for part in (2, 1, 0)])"),
        "Query and value have changed places. In c_attn and in ours the order is query, key, value.",
        READ,
    ),
    Mistake(
        "query, key and value interleaved",
        _fused("kept.reshape(3, -1, *kept.shape[1:]).transpose(0, 1).flatten(0, 1)"),
        "Here the first channels of query, key and value follow each other, then the second ones. In c_attn all of the query comes first, then the key, then the value, for all heads.",
        READ,
    ),
    Mistake(
        "the norms are exchanged",
        (
            ('"ln_1": "attention_norm"', '"ln_1": "feed_forward_norm"'),
            ('"ln_2": "feed_forward_norm"', '"ln_2": "attention_norm"'),
        ),
        "All shapes fit, so nothing complains. ln_1 stands before the attention, ln_2 before the feed-forward.",
        READ,
    ),
    Mistake(
        "the masks are kept",
        ((SKIP, 'if name == "lm_head.weight":'), ("ours[module]", "ours.get(module, module)")),
        "h.i.attn.bias in an old file is the causal mask, no bias: c_attn and c_proj have theirs. Leave it and masked_bias out.",
        READ,
    ),
    Mistake(
        "c_attn.bias taken for a mask",
        ((SKIP, SKIP.replace(".attn.bias", "attn.bias")),),
        "h.i.attn.c_attn.bias ends with attn.bias, too, but is a weight: the bias of query, key and value. The mask is h.i.attn.bias: ask for the dot as well.",
        READ,
    ),
    Mistake(
        "the head is kept",
        (
            (SKIP, SKIP.replace('name == "lm_head.weight" or ', "")),
            ("ours[module]", "ours.get(module, module)"),
        ),
        "Our GPT2Model has no weight of its own for the head: it uses the embedding table, and so do they. Leave lm_head.weight out.",
        READ,
    ),
    Mistake(
        "the prefix is kept",
        (
            ('full_name.removeprefix("transformer.")', "full_name"),
            ("ours[module]", "ours.get(module, module)"),
        ),
        "Names that begin with transformer. are the same weights: take the prefix off before looking them up.",
        READ,
    ),
    Mistake(
        "only one digit of the block's number",
        (('block = f"blocks.{number}."', 'block = f"blocks.{number[0]}."'),),
        "Block 10 becomes block 1, and overwrites it. Take the whole number between the dots.",
        READ,
    ),
    Mistake(
        "turned in place",
        (
            (
                SET,
                f"if is_turned:\n            weight.data = weight.T\n        {KEPT}weight",
            ),
        ),
        "The weights that were given are changed: converting them twice turns them back. Make new ones, with T.",
        READ,
    ),
)
