"""What the values of the models mean, in words and as formulas, whichever model they are in.

`glossary.py` says which model has which, and in what shape. In a formula t and s are tokens (s one
that is looked at), c a channel, d a channel of one head, v a token of the vocabulary. Does not know
the models.
"""

_NORM = "(x - mean(x)) / √(variance(x) + eps) · weight + bias, over the channels"
_RMS = "x / √(mean(x²) + eps), over the channels"
_PASS = "; while it trains, dropout sets some of it to 0 at random."

WORDS: dict[str, tuple[str, str]] = {
    # From token ids to the stream.
    "positions": (
        "The place of each token in the text, counted from 0.",
        "positions[t] = t",
    ),
    "token_embedded": (
        "For each token the vector that was learnt for its id: one row of a table.",
        "token_embedded[t] = token_embedding.weight[idx[t]]",
    ),
    "position_embedded": (
        "For each place the vector that was learnt for it, so that the model can tell the order.",
        "position_embedded[t] = position_embedding.weight[positions[t]]",
    ),
    "embedded": (
        "Token and place together in one vector: what all else is built upon.",
        "embedded = token_embedded + position_embedded",
    ),
    "embedded by rms": (
        "Each token's vector brought to size 1: what all else is built upon, without its place.",
        f"embedded = {_RMS.replace('x', 'token_embedded')}",
    ),
    "start of the stream": (
        "The stream at its start: one vector for each token, to which every block adds" + _PASS,
        "x = dropout(embedded)",
    ),
    "stream": (
        "The stream after a block: each token's vector with all that was added to it so far.",
        "x = block(x)",
    ),
    # A block.
    "attention_input": (
        "Each token's vector brought to mean 0 and spread 1, then stretched and shifted by learnt "
        "numbers: attention reads it at an even loudness.",
        f"attention_input = {_NORM}",
    ),
    "attention_input by rms": (
        "Each token's vector divided by its size, so that attention reads it at an even loudness.",
        f"attention_input = {_RMS}",
    ),
    "attended": (
        "What attention found for each token in the tokens before it and in itself.",
        "attended = attention(attention_input)",
    ),
    "x_attended": (
        "The stream with what attention found added to it.",
        "x_attended = x + attended",
    ),
    "feed_forward_input": (
        "The stream evened out once more, as before attention, with learnt numbers of its own.",
        f"feed_forward_input = {_NORM.replace('x', 'x_attended')}",
    ),
    "feed_forward_input by rms": (
        "The stream divided by its size once more, as before attention.",
        f"feed_forward_input = {_RMS.replace('x', 'x_attended')}",
    ),
    "computed": (
        "What the feed-forward layers made of each token's vector, each token on its own.",
        "computed = feed_forward(feed_forward_input)",
    ),
    "end of a block": (
        "The stream with both of the block's additions: what it hands to the next block.",
        "return = x_attended + computed",
    ),
    # Attention.
    "fused": (
        "Queries, keys and values of all heads side by side, computed in one go.",
        "fused[t, j] = Σ_c x[t, c] · query_key_value.weight[j, c] + bias[j], j < 3C",
    ),
    "fused without bias": (
        "Queries, keys and values of all heads side by side, computed in one go.",
        "fused[t, j] = Σ_c x[t, c] · query_key_value.weight[j, c], j < 3C",
    ),
    "split": (
        "One third of the fused numbers, dealt out so that each head has channels of its own.",
        "return[h, t, d] = fused[t, h · D + d]",
    ),
    "query": (
        "What each token looks for in others.",
        "query[t, d] = Σ_c x[t, c] · query.weight[d, c]",
    ),
    "key": (
        "What each token offers to be found by.",
        "key[s, d] = Σ_c x[s, c] · key.weight[d, c]",
    ),
    "value": (
        "What each token hands over to those that look at it.",
        "value[s, d] = Σ_c x[s, c] · value.weight[d, c]",
    ),
    "query of a third": (
        "What each token looks for in others, head by head: the first third of fused.",
        "query[h, t, d] = fused[t, h · D + d]",
    ),
    "key of a third": (
        "What each token offers to be found by, head by head: the second third of fused.",
        "key[h, s, d] = fused[s, C + h · D + d]",
    ),
    "value of a third": (
        "What each token hands over to those that look at it, head by head: the last third of "
        "fused.",
        "value[h, s, d] = fused[s, 2C + h · D + d]",
    ),
    "query_normed": (
        "Each head's queries divided by their size, so that no query is louder than another.",
        f"query_normed = {_RMS.replace('x', 'query')} of a head",
    ),
    "key_normed": (
        "Each head's keys divided by their size, so that no key is louder than another.",
        f"key_normed = {_RMS.replace('x', 'key')} of a head",
    ),
    "cosine": (
        "The cosine of the angle by which each pair of channels is turned at each place.",
        "cosine[t, d] = cos(t · 10000^(-2d / D)), d < D/2",
    ),
    "sine": (
        "The sine of the angle by which each pair of channels is turned at each place.",
        "sine[t, d] = sin(t · 10000^(-2d / D)), d < D/2",
    ),
    "first": (
        "The first number of each pair that is turned: the first half of a head's channels.",
        "first[t, d] = x[t, d], d < D/2",
    ),
    "second": (
        "The second number of each pair that is turned: the second half of a head's channels.",
        "second[t, d] = x[t, D/2 + d], d < D/2",
    ),
    "first_turned": (
        "The first number of each pair after the turn.",
        "first_turned = first · cosine - second · sine",
    ),
    "second_turned": (
        "The second number of each pair after the turn.",
        "second_turned = second · cosine + first · sine",
    ),
    "end of a rotation": (
        "Queries or keys with each pair of channels turned: the further on in the text, the more.",
        "return = first_turned, behind it second_turned",
    ),
    "query_turned": (
        "The queries turned by their place, so that a score tells how far apart two tokens are.",
        "query_turned = rotation(query_normed)",
    ),
    "key_turned": (
        "The keys turned by their place, so that a score tells how far apart two tokens are.",
        "key_turned = rotation(key_normed)",
    ),
    "keys that were turned": (
        "The turned keys of all tokens seen so far; while a text is generated, those kept from "
        "earlier steps come first.",
        "keys = key_turned, behind those kept",
    ),
    "keys": (
        "The keys of all tokens seen so far; while a text is generated, those kept from earlier "
        "steps come first.",
        "keys = key, behind those kept",
    ),
    "values": (
        "The values of all tokens seen so far; while a text is generated, those kept from earlier "
        "steps come first.",
        "values = value, behind those kept",
    ),
    "scores": (
        "How well what token t looks for fits what token s offers.",
        "scores[t, s] = Σ_d query[t, d] · keys[s, d]",
    ),
    "scaled": (
        "The scores made smaller, as sums over more channels come out larger.",
        "scaled = scores / √D",
    ),
    "masked": (
        "The scores with those of later tokens set to minus infinity: no token may look ahead.",
        "masked[t, s] = scaled[t, s] if s ≤ t, else -∞",
    ),
    "weights": (
        "How much token t looks at token s: shares of 1, which go to high scores.",
        "weights[t, s] = exp(masked[t, s]) / Σ_s exp(masked[t, s])",
    ),
    "dropped": (
        "The shares that are used" + _PASS,
        "dropped = dropout(weights)",
    ),
    "mixed": (
        "For each token the values of those it looks at, mixed by how much it looks at each.",
        "mixed[t, d] = Σ_s dropped[t, s] · values[s, d]",
    ),
    "mixed by a head": (
        "What each head handed back: its own mix of values for each token.",
        "mixed[h] = heads[h](x)",
    ),
    "end of a head": (
        "What a head hands back: its mix of values.",
        "return = mixed",
    ),
    "joined": (
        "What all heads found for a token, one behind the other in one vector.",
        "joined[t, h · D + d] = mixed[h, t, d]",
    ),
    "projected": (
        "What the heads found, blended into vectors that fit the stream.",
        "projected[t, c] = Σ_j joined[t, j] · projection.weight[c, j] + projection.bias[c]",
    ),
    "projected without bias": (
        "What the heads found, blended into vectors that fit the stream.",
        "projected[t, c] = Σ_j joined[t, j] · projection.weight[c, j]",
    ),
    "end of attention": (
        "What attention hands to the block" + _PASS,
        "return = dropout(projected)",
    ),
    # Feed-forward.
    "hidden": (
        "Each token's vector measured against four times as many learnt patterns as it has "
        "channels: large where one fits.",
        "hidden[t, j] = Σ_c x[t, c] · expand.weight[j, c] + expand.bias[j], j < 4C",
    ),
    "hidden without bias": (
        "Each token's vector measured against four times as many learnt patterns as it has "
        "channels: large where one fits.",
        "hidden[t, j] = Σ_c x[t, c] · expand.weight[j, c], j < 4C",
    ),
    "rectified": (
        "The patterns that fit; all that is below 0 becomes 0.",
        "rectified = max(0, hidden)",
    ),
    "activated by relu squared": (
        "The patterns that fit, squared: those that fit well stand out even more.",
        "activated = rectified · rectified",
    ),
    "activated by relu": (
        "The patterns that fit; all that is below 0 becomes 0.",
        "activated = max(0, hidden)",
    ),
    "activated by gelu": (
        "The patterns that fit; what is far below 0 becomes nearly 0, with a smooth bend.",
        "activated = hidden · (1 + tanh(√(2/π) · (hidden + 0.044715 · hidden³))) / 2",
    ),
    "contracted": (
        "What the fitting patterns stand for, summed up in a vector that fits the stream.",
        "contracted[t, c] = Σ_j activated[t, j] · contract.weight[c, j] + contract.bias[c]",
    ),
    "contracted without bias": (
        "What the fitting patterns stand for, summed up in a vector that fits the stream.",
        "contracted[t, c] = Σ_j activated[t, j] · contract.weight[c, j]",
    ),
    "end of the feed-forward": (
        "What the feed-forward layers hand to the block" + _PASS,
        "return = dropout(contracted)",
    ),
    # From the stream to the next token.
    "normed": (
        "The finished stream evened out a last time, before it is compared with each token.",
        f"normed = {_NORM}",
    ),
    "normed by rms": (
        "The finished stream divided by its size a last time, before it is compared with each "
        "token.",
        f"normed = {_RMS}",
    ),
    "logits": (
        "At each place a score for every token of the vocabulary: the higher, the likelier next.",
        "logits[t, v] = Σ_c normed[t, c] · head.weight[v, c]",
    ),
    "padded_logits": (
        "At each place a score for every row of the embedding table, those that stand for no token "
        "included.",
        "padded_logits[t, v] = Σ_c normed[t, c] · token_embedding.weight[v, c]",
    ),
    "logits without padding": (
        "At each place a score for every token of the vocabulary: the higher, the likelier next.",
        "logits = padded_logits[..., :V]",
    ),
    "loss": (
        "How much the tokens that do come next surprise the model, on average; 0: not at all.",
        "loss = mean over t of (ln Σ_v exp(logits[t, v]) - logits[t, target[t]])",
    ),
    "scores handed back": (
        "The model's answer: at each place a score for every possible next token.",
        "return[0] = logits",
    ),
    "loss handed back": (
        "The mean surprise beside it, where the next tokens were given.",
        "return[1] = loss",
    ),
}
"""Name of an entry -> its meaning in one sentence, and its formula."""
