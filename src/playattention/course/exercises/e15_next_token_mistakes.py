"""The known mistakes of exercise 15, the next token."""

from playattention.course.exercise import Mistake

READ = "docs/11-generation.md#loop"
TEMPERATURE = "docs/11-generation.md#temperature"
TOP_K = "docs/11-generation.md#top-k"
TOP_P = "docs/11-generation.md#top-p"

TEMPERED = "tempered = logits / temperature\n    probabilities = tempered.softmax(dim=-1)"
GREEDY = "    if temperature == 0:\n        return logits.argmax(dim=-1, keepdim=True)\n"
DRAW = "torch.multinomial(ordered * kept, 1, generator=generator)"
BEFORE = "ordered.cumsum(dim=-1) - ordered"
SEEN = "seen = idx[:, -seq_size:]"
CAT = "torch.cat([idx, token], dim=1)"

MISTAKES = (
    Mistake(
        "temperature after the softmax",
        ((TEMPERED, "probabilities = logits.softmax(dim=-1) / temperature"),),
        "Probabilities that are all divided by the same number are drawn as often as before, and top-p adds up what no longer sums to 1. Divide the logits, before the softmax.",
        TEMPERATURE,
    ),
    Mistake(
        "temperature after top-p",
        (
            (TEMPERED, "probabilities = logits.softmax(dim=-1)"),
            (DRAW, DRAW.replace("ordered * kept", "ordered ** (1 / temperature) * kept")),
        ),
        "Top-p chose its tokens before the temperature changed their probabilities. Divide the logits first; top-p looks at what comes of it.",
        TOP_P,
    ),
    Mistake(
        "temperature twice",
        (("tempered.softmax(dim=-1)", "(tempered / temperature).softmax(dim=-1)"),),
        "The logits were divided by the temperature a second time: 2 acts like 4, and only 1 looks right.",
        TEMPERATURE,
    ),
    Mistake(
        "multiplied by the temperature",
        (("logits / temperature", "logits * temperature"),),
        "A higher temperature must make the choice more even, so it divides. Multiplied, 2 makes the likely tokens likelier still.",
        TEMPERATURE,
    ),
    Mistake(
        "temperature without effect",
        (("logits / temperature", "logits"),),
        "Each temperature draws alike. Either it is never used, or it divides the probabilities right before the draw, which leaves their ratios as they were. Divide the logits, before the softmax.",
        TEMPERATURE,
    ),
    Mistake(
        "temperature 0 divides by zero",
        ((GREEDY, ""),),
        "Divided by 0, the logits become infinite or NaN, and so do their probabilities. A temperature of 0 means: take the likeliest token, without a draw.",
        TEMPERATURE,
    ),
    Mistake(
        "always the likeliest token",
        ((DRAW, "(ordered * kept).argmax(dim=-1, keepdim=True)"),),
        "Nothing is drawn: every text from this prompt is the same, and soon repeats itself. Draw from the probabilities, with torch.multinomial.",
        TEMPERATURE,
    ),
    Mistake(
        "drawn from logits",
        (("tempered.softmax(dim=-1)", "tempered"),),
        "Logits are scores, some of them below 0, not probabilities. Take the softmax before anything is drawn.",
        TEMPERATURE,
    ),
    Mistake(
        "one token too many in top-k",
        (("kept[:, top_k:]", "kept[:, top_k + 1 :]"),),
        "Places are counted from 0: the k likeliest stand at 0 to k - 1.",
        TOP_K,
    ),
    Mistake(
        "top-k above V fails",
        (
            (
                "kept[:, top_k:] = False",
                "kept = probabilities >= probabilities.topk(top_k).values[:, [-1]]\n        kept = kept.gather(-1, tokens)",
            ),
        ),
        "topk can't return more tokens than there are. With a k above the vocabulary, keep them all: min(top_k, V).",
        TOP_K,
    ),
    Mistake(
        "top-k keeps the unlikeliest",
        (("kept[:, top_k:]", "kept[:, : -top_k]"),),
        "The k tokens at the wrong end of the order were kept. The likeliest come first when sorted with descending=True.",
        TOP_K,
    ),
    Mistake(
        "top-p drops the token that crosses",
        ((BEFORE, "ordered.cumsum(dim=-1)"),),
        "The token with which the sum reaches p has to stay, or what is kept falls short of p. Where the first token has p alone, nothing at all is left. Ask what came BEFORE each token: cumsum - own.",
        TOP_P,
    ),
    Mistake(
        "top-p summed in the vocabulary's order",
        (
            (BEFORE, "probabilities.cumsum(dim=-1) - probabilities"),
            ("(before < top_p)", "(before < top_p).gather(-1, tokens)"),
        ),
        "The probabilities were added up in the order of the ids. The fewest tokens that reach p are found from the likeliest on: sort first.",
        TOP_P,
    ),
    Mistake(
        "top-p of what top-k left",
        (
            (
                BEFORE,
                "((ordered * kept) / (ordered * kept).sum(dim=-1, keepdim=True)).cumsum(dim=-1) - (ordered * kept) / (ordered * kept).sum(dim=-1, keepdim=True)",
            ),
        ),
        "After top-k, the probabilities were made to sum to 1 again before top-p added them up, so that it stops earlier. Some libraries do so; here each is found among the probabilities of all tokens.",
        TOP_P,
    ),
    Mistake(
        "ranks for tokens",
        (("tokens.gather(-1, drawn)", "drawn"),),
        "What is drawn from the sorted probabilities is a place in the order: 0 is the likeliest. Look up which token stands there: tokens.gather(-1, drawn).",
        TOP_P,
    ),
    Mistake(
        "ranks for tokens under top-p",
        (("tokens.gather(-1, drawn)", "drawn if top_p else tokens.gather(-1, drawn)"),),
        "Top-p sorts the probabilities, and what is drawn from them is a place in that order. Bring it back to the order of the vocabulary, with gather or scatter.",
        TOP_P,
    ),
    Mistake(
        "left out by a score of 0",
        (
            (
                DRAW,
                "torch.multinomial((tempered.gather(-1, tokens) * kept).softmax(dim=-1), 1, generator=generator)",
            ),
        ),
        "A score of 0 is a score like any other: exp(0) is 1. Give what is left out a probability of 0, or a score of minus infinity.",
        TOP_K,
    ),
    Mistake(
        "the generator not used",
        ((", generator=generator)", ")"),),
        "The draws come from torch's global source of chance, so that a text can't be repeated, and writing a sample changes the training around it. Pass generator=generator.",
        TEMPERATURE,
    ),
    Mistake(
        "the logits changed in place",
        (("logits / temperature", "logits.div_(temperature)"),),
        "div_ and /= write into the tensor of the one who called. Whoever looks at the logits afterwards sees other numbers. Use logits / temperature.",
        TEMPERATURE,
    ),
    Mistake(
        "the first position for the last",
        (("logits[:, -1]", "logits[:, 0]"),),
        "The logits at position t say what follows token t. What follows the text stands at the last position; those before ask for tokens that are there already.",
        READ,
    ),
    Mistake(
        "all positions for the last",
        (("logits[:, -1]", "logits"),),
        "A token was drawn for every position. Only the last one has no next token yet: logits[:, -1].",
        READ,
    ),
    Mistake(
        "the last row for the last position",
        (("logits[:, -1]", "logits[-1]"),),
        "logits[-1] is the last row of the batch, with all its positions. The last position of each row is logits[:, -1].",
        READ,
    ),
    Mistake(
        "text not cropped",
        ((SEEN, "seen = idx"),),
        "The model has positions for seq_size tokens. As soon as the text is longer, show it the last seq_size of them.",
        READ,
    ),
    Mistake(
        "the beginning shown for the end",
        ((SEEN, "seen = idx[:, :seq_size]"),),
        "Once the text is longer than seq_size, the model sees only its beginning, and says the same at each step. Show the LAST tokens: idx[:, -seq_size:].",
        READ,
    ),
    Mistake(
        "only the last token shown",
        ((SEEN, "seen = idx[:, -1:]"),),
        "The model sees a single token and forgets all others. Without a cache, it needs the whole text each time, up to seq_size tokens.",
        READ,
    ),
    Mistake(
        "cropped text returned",
        ((SEEN, "seen = idx = idx[:, -seq_size:]"),),
        "What the model no longer sees was taken from the text too: the beginning is lost. Crop a copy for the model, and keep idx whole.",
        READ,
    ),
    Mistake(
        "put behind on the batch axis",
        ((CAT, CAT.replace("dim=1", "dim=0")),),
        "dim=0 is the batch: the tokens would become rows of their own. A text grows along its positions: dim=1.",
        READ,
    ),
    Mistake(
        "put in front",
        ((CAT, CAT.replace("idx, token", "token, idx")),),
        "The new token stands before the text. It follows it: torch.cat([idx, token], dim=1).",
        READ,
    ),
    Mistake(
        "no eval()",
        (("    model.eval()\n", ""),),
        "In training mode, dropout goes on throwing values away while the model writes: the same prompt gives other probabilities each time, and worse text.",
        READ,
    ),
    Mistake(
        "left in evaluation mode",
        (("model.train(was_training)", "pass"),),
        "A training that writes samples now and then would go on without dropout from the first sample on. Put the mode back afterwards.",
        READ,
    ),
    Mistake(
        "left in training mode",
        (("model.train(was_training)", "model.train()"),),
        "The model is put into training mode even if it was not in it. Remember model.training, and put that back.",
        READ,
    ),
    Mistake(
        "gradients kept",
        (("torch.no_grad()", "torch.enable_grad()"),),
        "Each step keeps all that a backward pass would need, for a backward pass that never comes: it costs memory and time. Use torch.no_grad().",
        READ,
    ),
)
