"""Mutants that are as right as the reference, each with the reason why it can't be rejected.

By exercise: (the statement before, after, the reason), as `Mutant` gives them; "*" after: any.
"""

Argued = tuple[str, str, str]

LAST = "the last axis of two, counted from the front"
SAME_AXIS = "the same axis, counted from the end"
EITHER = "one of two, in either order"
ALIKE = "these have the same shape"


def argued(before: str, *others: tuple[str, str, str]) -> tuple[Argued, ...]:
    """Return entries for one statement: (text, text in its place, the reason) each."""
    return tuple((before, before.replace(old, new), why) for old, new, why in others)


SPLIT = "return x.reshape(B, T, n_head, C // n_head).transpose(1, 2)"
MERGED = "return heads.transpose(1, 2).reshape(B, T, H * D)"
HEAD_SIZE = "self.scale = (n_embd // n_head) ** (-0.5)"
HEAD = "self.head = nn.Linear(n_embd, vocab_size, bias=False)"
START = "start = cache[0][0].size(2) if cache else 0"
ONES = "kept = torch.ones_like(ordered, dtype=torch.bool)"
SORT = "ordered, tokens = probabilities.sort(dim=-1, descending=True)"
DECODED = "return b''.join((bytes_of[id_] for id_ in ids)).decode('utf-8', errors='replace')"
ENCODED = "tokens = list(part.encode('utf-8'))"
SPECIAL = "bytes_of += [one.encode('utf-8') for one in special]"
MEAN = "return sum(losses) / len(losses)"
NORM = "norm = math.sqrt(sum((gradient.square().sum().item() for gradient in gradients)))"
LEFT_OUT = "if name == 'lm_head.weight' or name.endswith(('.attn.bias', '.attn.masked_bias')):"
KEPT = "converted[f'{block}{ours[module]}.{kind}'] = weight.T if is_turned else weight"
IS_TURNED = "is_turned = '.c_' in module and kind == 'weight'"

UTF_8 = (
    ("'utf-8'", "'utf-'", "another name of UTF-8"),
    ("('utf-8')", "()", "UTF-8 is the default"),
)

EQUIVALENTS: dict[str, tuple[Argued, ...]] = {
    "byte_pairs": (
        *argued("ids = list(data)", ("list(data)", "data", "it is only read")),
        *argued(DECODED, UTF_8[0], ("'utf-8', ", "", UTF_8[1][2])),
        *argued(
            ENCODED, *UTF_8, ("list(part.encode('utf-8'))", "part.encode('utf-8')", "only read")
        ),
        *argued(SPECIAL, *UTF_8),
        (
            "parts = re.split(f'({pattern})', text) if special else [text]",
            "parts = re.split(f'({pattern})', text) if pattern else [text]",
            "the pattern is empty just where there are no special tokens",
        ),
        (
            "while (known := [pair for pair in pairwise(tokens) if pair in rank]):",
            "while (known := [pair for pair in pairwise(tokens) if pair in merges]):",
            "the ranks are those of the merges",
        ),
        (
            "ids.append(256 + len(merges) + special.index(part))",
            "ids.append(256 + len(rank) + special.index(part))",
            "each merge has a rank",
        ),
    ),
    "embedding": (
        *argued(
            "positions = wpe[:idx.shape[1]]",
            ("[1]", "[-1]", SAME_AXIS),
            ("idx", "tokens", "they have T at the same place"),
        ),
        *argued(
            "wte = torch.randn(vocab_size, n_embd) * 0.02",
            ("* 0", "* -0", "a normal distribution around 0, mirrored, is the same"),
        ),
        *argued(
            "wpe = torch.randn(seq_size, n_embd) * 0.02",
            ("* 0", "* -0", "a normal distribution around 0, mirrored, is the same"),
        ),
    ),
    "one_head": argued(
        "scaled = scores * query.shape[-1] ** (-0.5)",
        ("query", "key", ALIKE),
        ("query", "value", ALIKE),
    ),
    "many_heads": (
        *argued(SPLIT, ("(1, 2)", "(1, -2)", SAME_AXIS)),
        *argued(MERGED, ("(1, 2)", "(1, -2)", SAME_AXIS)),
        *argued("scores = query @ key.transpose(2, 3)", ("(2, 3)", "(-2, 3)", SAME_AXIS)),
        *argued(HEAD_SIZE, ("//", "/", "n_embd is a multiple of n_head")),
    ),
    "gpt": (
        *argued(
            HEAD,
            *(
                ("n_embd, vocab_size", sizes, "the table takes the place of this matrix")
                for sizes in (
                    "vocab_size, n_embd",
                    "n_head, vocab_size",
                    "vocab_size, vocab_size",
                    "seq_size, vocab_size",
                    "n_layer, vocab_size",
                    "n_embd, seq_size",
                    "n_embd, n_embd",
                    "n_embd, n_head",
                    "n_embd, n_layer",
                )
            ),
        ),
        *argued(
            "nn.init.normal_(weight, std=0.02)",
            ("0.02", "0.04", "as small as it has to be: the first loss is about ln V"),
        ),
        *argued(
            "positions = torch.arange(idx.size(1), device=idx.device)", ("(1)", "(-1)", SAME_AXIS)
        ),
    ),
    "train_step": (
        ("optimizer.zero_grad()", "model.zero_grad()", "the optimizer has the model's weights"),
        *argued(MEAN, ("len(losses)", "len(batches)", "one loss for each batch")),
    ),
    "optimizer": (
        ("if norm > max_norm:", "if norm >= max_norm:", "where both are the same, the factor is 1"),
        *argued(NORM, (".item()", "", "math.sqrt takes a tensor of one number as well")),
    ),
    "next_token": (
        *argued(SORT, ("dim=-1, ", "", "the last axis is the default"), ("-1", "1", LAST)),
        *argued(
            ONES,
            *(
                ("(ordered", f"({other}", ALIKE)
                for other in ("logits", "tempered", "probabilities", "tokens")
            ),
        ),
        *argued("return tokens.gather(-1, drawn)", ("-1", "1", LAST)),
        *argued("probabilities = tempered.softmax(dim=-1)", ("-1", "1", LAST)),
        *argued("return logits.argmax(dim=-1, keepdim=True)", ("-1", "1", LAST)),
        *argued("before = ordered.cumsum(dim=-1) - ordered", ("-1", "1", LAST)),
        *argued("idx = torch.cat([idx, token], dim=1)", ("=1", "=-1", SAME_AXIS)),
        (
            "kept[:, top_k:] = False",
            "ordered[:, top_k:] = False",
            "what has a probability of 0 is not drawn",
        ),
        (
            "kept = kept & (before < top_p)",
            "kept = kept & (before <= top_p)",
            "they part only where a sum of probabilities is top_p to the last bit",
        ),
    ),
    "kv_cache": (
        *argued(HEAD_SIZE, ("//", "/", "n_embd is a multiple of n_head")),
        *argued(
            START,
            ("(2)", "(-2)", SAME_AXIS),
            ("[0][0]", "[0][1]", "keys and values are as many"),
            ("[0][0]", "[0][-1]", "keys and values are as many"),
            ("[0][0]", "[-1][0]", "all layers keep as many tokens"),
        ),
        *argued("end = start + idx.size(1)", ("(1)", "(-1)", SAME_AXIS)),
        *argued("key = torch.cat((past[0], key), dim=2)", ("=2", "=-2", SAME_AXIS)),
        *argued(
            "value = torch.cat((past[1], value), dim=2)",
            ("=2", "=-2", SAME_AXIS),
            ("[1]", "[-1]", "the second of two is the last"),
        ),
        *argued("scores = query @ key.transpose(2, 3) * self.scale", ("(2,", "(-2,", SAME_AXIS)),
        (
            "x, layer_kept = block(x, cache[layer] if cache else None)",
            "x, layer_kept = block(x, cache[layer] if start else None)",
            "a cache has at least one token",
        ),
    ),
    "convert_gpt2": (
        *argued(
            IS_TURNED,
            (" and kind == 'weight'", "", "a bias has one dimension: T leaves it as it is"),
            (".c_", ".c", "no other module has a part that begins with c"),
            (".c_", "c_", "no other module has c_ in its name"),
            ("module", "name", "c_ is in the module's part of the name"),
            ("module", "full_name", "the prefix has no c_"),
        ),
        *argued(
            KEPT,
            ("is_turned", "block", "all else in a block has one dimension: T leaves it as it is"),
        ),
        *argued(
            "if module.startswith('h.'):",
            ("'h.'", "'h'", "no module outside of the blocks begins with h"),
            ("module", "name", "the name begins with the module"),
        ),
        *argued(
            LEFT_OUT,
            ("'.attn.bias', '.attn.masked_bias'", "'.attn.masked_bias', '.attn.bias'", EITHER),
            ("if name", "if full_name", "lm_head never has the prefix"),
            ("name.endswith", "full_name.endswith", "the prefix leaves the end as it is"),
            ("'.attn.masked_bias'", "'attn.masked_bias'", "no other name ends so"),
        ),
    ),
}
