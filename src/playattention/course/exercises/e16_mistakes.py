"""The KV cache: the mistakes that people make."""

from playattention.course.exercise import Mistake

START = "start = cache[0][0].size(2) if cache else 0"
POSITIONS = "positions = torch.arange(start, end, device=idx.device)"
SOFTMAX = "weights = causal_softmax(scores)"
KEYS = "key = torch.cat((past[0], key), dim=2)  # (B, H, S + t, D)"
VALUES = "value = torch.cat((past[1], value), dim=2)"
RETURN = "return self.projection(merge(weights @ value)), (key, value)"
LAYERS = """for layer, block in enumerate(self.blocks):
            x, layer_kept = block(x, cache[layer] if cache else None)
            kept.append(layer_kept)"""
CHECK = "if end > self.seq_size:"
OUT = "return logits, kept"
NEW = "kept = []"
READ = "docs/11-generation.md#kv-cache"

MISTAKES = (
    Mistake(
        "positions restart at 0",
        ((POSITIONS, "positions = torch.arange(idx.size(1), device=idx.device)"),),
        "Each part of the text is told that it stands at the beginning. Positions go on from the number of tokens in the cache.",
        READ,
    ),
    Mistake(
        "positions restart at 0, and so does the count",
        ((START, "start = 0"),),
        "The tokens in the cache are forgotten twice: each part of the text is told that it stands at the beginning, and only the new tokens are held against seq_size.",
        READ,
    ),
    Mistake(
        "positions one too far",
        ((POSITIONS, "positions = torch.arange(start, end, device=idx.device) + bool(cache)"),),
        "The first new token gets the position after its own: with S tokens in the cache, it is S, since they are counted from 0.",
        READ,
    ),
    Mistake(
        "values kept as keys",
        ((RETURN, "return self.projection(merge(weights @ value)), (value, value)"),),
        "What is kept under the keys are the values. Old keys are needed to compare new queries with.",
        READ,
    ),
    Mistake(
        "positions made on the default device",
        ((", device=idx.device", ""),),
        "A tensor made without a device stands on the CPU; on a GPU this line fails. Make it where the ids are: device=idx.device.",
        READ,
    ),
    Mistake(
        "mask from the top left",
        (
            (
                SOFTMAX,
                "weights = scores.where(torch.ones_like(scores).tril() > 0, -torch.inf).softmax(dim=-1)",
            ),
        ),
        "The mask's first row belongs to the first token of all, but the first query is the first NEW one: it sees only the oldest key. (is_causal=True does this, too.) The queries are the last rows: tril(Tk - Tq).",
        READ,
    ),
    Mistake(
        "mask of the new tokens only",
        (
            (
                SOFTMAX,
                "weights = scores.where(scores.new_ones(x.size(1), x.size(1)).tril() > 0, -torch.inf).softmax(dim=-1)",
            ),
        ),
        "The mask is (t, t): (1, 1) while one token is written, which hides nothing and so does no harm, but three at once, after four, need (3, 7).",
        READ,
    ),
    Mistake(
        "no mask when there is a cache",
        (
            (
                SOFTMAX,
                "weights = causal_softmax(scores) if past is None else scores.softmax(dim=-1)",
            ),
        ),
        "One new token may see all there is, but of several the first must not see the next. The mask stays, its rows counted from the end.",
        READ,
    ),
    Mistake(
        "not reset between prompts",
        (
            (START, 'cache = vars(self).get("kept")\n        ' + START),
            (OUT, "self.kept = kept\n        return logits, kept"),
        ),
        "Keys and values are kept in the model, so the next prompt goes on where the last ended. Without a cache a text begins: take what is handed in, and hand back what is to be kept.",
        READ,
    ),
    Mistake(
        "kept in the model",
        (
            (START, "cache = self.kept if cache else None\n        " + START),
            (OUT, "self.kept = kept\n        return logits, True"),
        ),
        "Keys and values are kept in the model, which knows one text only: with two in turns, one reads the other's. Put all of it into the cache that is handed back.",
        READ,
    ),
    Mistake(
        "one cache for all layers",
        (
            (
                LAYERS,
                "past = cache[0] if cache else None\n        for block in self.blocks:\n            x, past = block(x, past)",
            ),
            (NEW, "pass"),
            (OUT, "return logits, [past]"),
            (START, "start = cache[0][0].size(2) // len(self.blocks) if cache else 0"),
        ),
        "All layers put their keys and values into one cache, so the second looks at the first one's. Each layer needs its own.",
        READ,
    ),
    Mistake(
        "one cache for all layers, and positions counted by it",
        (
            (
                LAYERS,
                "past = cache[0] if cache else None\n        for block in self.blocks:\n            x, past = block(x, past)",
            ),
            (NEW, "pass"),
            (OUT, "return logits, [past]"),
        ),
        "All layers put their keys and values into one cache, so the second looks at the first one's, and it holds each token once a layer, which the positions then count. Each layer needs its own.",
        READ,
    ),
    Mistake(
        "only the last layer's cache kept",
        (
            (
                LAYERS,
                "past = cache[0] if cache else None\n        for block in self.blocks:\n            x, layer_kept = block(x, past)",
            ),
            (NEW, "pass"),
            (OUT, "return logits, [layer_kept]"),
        ),
        "What a layer keeps is written over by the next, so the next part's layers all look at what the last one kept. Each layer needs its own.",
        READ,
    ),
    Mistake(
        "every layer reads the first one's cache",
        (("block(x, cache[layer] if cache else None)", "block(x, cache[0] if cache else None)"),),
        "What is kept of the first layer is handed to all. Each layer's old keys and values go to that layer again.",
        READ,
    ),
    Mistake(
        "past seq_size",
        ((CHECK, "if False:"),),
        "Nothing stops the text at seq_size, the end of the position table: it breaks there, with an error that does not say why. Count the cache's tokens and the new ones, and say it.",
        READ,
    ),
    Mistake(
        "the cache not counted",
        ((CHECK, "if idx.size(1) > self.seq_size:"),),
        "Only the new tokens are held against seq_size. Those in the cache count, too.",
        READ,
    ),
    Mistake(
        "last position for all that comes after",
        ((CHECK, "if False:"), (POSITIONS, POSITIONS + ".clamp(max=self.seq_size - 1)")),
        "Tokens past seq_size all get the last position, which the model never learned. Refuse them.",
        READ,
    ),
    Mistake(
        "new keys before the old",
        (
            (KEYS, "key = torch.cat((key, past[0]), dim=2)"),
            (VALUES, "value = torch.cat((value, past[1]), dim=2)"),
        ),
        "Old keys and values come first: the mask counts on their order. For one new token it makes no difference, for several it does.",
        READ,
    ),
    Mistake(
        "only the new tokens kept",
        (
            (
                RETURN,
                "new = slice(-x.size(1), None)\n        return self.projection(merge(weights @ value)), (key[:, :, new], value[:, :, new])",
            ),
        ),
        "The cache holds the last part's keys and values alone, so the text before it is forgotten. Keep the joined ones.",
        READ,
    ),
    Mistake(
        "the cache never used",
        (("block(x, cache[layer] if cache else None)", "block(x, None)"),),
        "Old keys and values are handed in and not looked at: each part sees itself only.",
        READ,
    ),
    Mistake(
        "everything computed again",
        (
            (
                START,
                "new = idx.size(1)\n        idx = idx if cache is None else torch.cat((cache, idx), dim=1)\n        start = 0",
            ),
            ("cache[layer] if cache else None", "None"),
            (OUT, "return logits[:, -new:], idx"),
        ),
        "The ids are kept, and all tokens go through the model again: right, but as slow as without a cache. Keep each layer's keys and values.",
        READ,
    ),
)
