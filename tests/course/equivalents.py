"""Mutants that are as right as the reference, each with the reason why it can't be rejected.

By exercise: (the statement before, after, the reason), as `Mutant` gives them; "*" after: any.
"""

MEAN = "return sum(losses) / len(losses)"
NORM = "norm = math.sqrt(sum((gradient.square().sum().item() for gradient in gradients)))"
LEFT_OUT = "if name == 'lm_head.weight' or name.endswith(('.attn.bias', '.attn.masked_bias')):"
KEPT = "converted[f'{block}{ours[module]}.{kind}'] = weight.T if is_turned else weight"
IS_TURNED = "is_turned = '.c_' in module and kind == 'weight'"

EQUIVALENTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "train_step": (
        ("optimizer.zero_grad()", "model.zero_grad()", "the optimizer has the model's weights"),
        (MEAN, MEAN.replace("len(losses)", "len(batches)"), "one loss for each batch"),
    ),
    "optimizer": (
        ("if norm > max_norm:", "if norm >= max_norm:", "where both are the same, the factor is 1"),
        (NORM, NORM.replace(".item()", ""), "math.sqrt takes a tensor of one number as well"),
    ),
    "convert_gpt2": (
        (
            IS_TURNED,
            "is_turned = '.c_' in module",
            "a bias has one dimension: T leaves it as it is",
        ),
        (
            IS_TURNED,
            IS_TURNED.replace(".c_", ".c"),
            "no other module has a part that begins with c",
        ),
        (IS_TURNED, IS_TURNED.replace(".c_", "c_"), "no other module has c_ in its name"),
        (IS_TURNED, IS_TURNED.replace("module", "name"), "c_ is in the module's part of the name"),
        (IS_TURNED, IS_TURNED.replace("module", "full_name"), "the prefix has no c_"),
        (
            KEPT,
            KEPT.replace("is_turned", "block"),
            "all else in a block has one dimension: T leaves it as it is",
        ),
        (
            "if module.startswith('h.'):",
            "if module.startswith('h'):",
            "no module outside of the blocks begins with h",
        ),
        (
            LEFT_OUT,
            LEFT_OUT.replace(
                "'.attn.bias', '.attn.masked_bias'", "'.attn.masked_bias', '.attn.bias'"
            ),
            "one of two, in either order",
        ),
        (LEFT_OUT, LEFT_OUT.replace("if name", "if full_name"), "lm_head never has the prefix"),
        (
            LEFT_OUT,
            LEFT_OUT.replace("name.endswith", "full_name.endswith"),
            "the prefix leaves the end as it is",
        ),
        (
            "if module.startswith('h.'):",
            "if name.startswith('h.'):",
            "the name begins with the module",
        ),
        (
            LEFT_OUT,
            LEFT_OUT.replace("'.attn.masked_bias'", "'attn.masked_bias'"),
            "no other name ends so",
        ),
    ),
}
