"""The statements that the glossary's words are about, as the registered models were released.

A statement that a learner has changed is another one, in the model's own file too: what the words
say of it may no longer hold. A test holds these against the models' files. Does not know the words.
"""

Statements = dict[tuple[str, str], dict[str, str]]
"""Role of a module, and function -> name as in `glossary.py` -> statement; several: one a line."""

_KEPT = "keys, values = cache.append(self, key, value) if cache else (key, value)"
_RETURNED = "return logits, None\nreturn logits, loss"

_ENDS = {
    "token_embedded": "token_embedded = self.token_embedding(idx)",
    "x#0": "x = self.dropout(embedded)",
    "x": "x = block(x, cache)",
    "normed": "normed = self.final_norm(x)",
    "loss": "loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())",
    "return[0]": _RETURNED,
    "return[1]": _RETURNED,
}
_WHOLE = {
    **_ENDS,
    "positions": "positions = torch.arange(start, start + T, device=idx.device)",
    "position_embedded": "position_embedded = self.position_embedding(positions)",
    "embedded": "embedded = token_embedded + position_embedded",
}
_BLOCK: Statements = {
    ("blocks", "forward"): {
        "attention_input": "attention_input = self.attention_norm(x)",
        "attended": "attended = self.attention(attention_input, cache)",
        "x_attended": "x_attended = x + attended",
        "feed_forward_input": "feed_forward_input = self.feed_forward_norm(x_attended)",
        "computed": "computed = self.feed_forward(feed_forward_input)",
        "return": "return x_attended + computed",
    }
}
_ATTEND = {
    "scaled": "scaled = scores * self.scale",
    "masked": 'masked = scaled.where(self.causal_mask[S - T : S, :S], float("-inf"))',
    "weights": "weights = F.softmax(masked, dim=-1)",
    "mixed": "mixed = dropped @ values",
    "return": "return mixed",
}
_ATTENTION_END = {
    "projected": "projected = self.projection(joined)",
    "return": "return self.dropout(projected)",
}


def _feed_forward(activated: str, **before: str) -> Statements:
    return {
        ("feed_forward", "forward"): {
            "hidden": "hidden = self.expand(x)",
            **before,
            "activated": f"activated = {activated}",
            "contracted": "contracted = self.contract(activated)",
            "return": "return self.dropout(contracted)",
        }
    }


_THIRD = "query, key, value = (self._split(part) for part in fused.chunk(3, dim=-1))"
_THIRDS = dict.fromkeys(("query", "key", "value"), _THIRD)
_TURNED = "keys, values = (cache.append(self, key_turned, value) if cache else (key_turned, value))"
_SPLIT: Statements = {
    ("attention", "_split"): {"return": "return fused.view(B, T, self.n_head, -1).transpose(1, 2)"}
}
_HALVES = "first, second = x.chunk(2, dim=-1)"
_TOGETHER: Statements = {
    ("attention", "_attend"): {
        "scores": "scores = query @ keys.transpose(2, 3)",
        "dropped": "dropped = self.attention_dropout(weights)",
        **_ATTEND,
    }
}

STATEMENTS: dict[str, Statements] = {
    "gpt": {
        ("", "forward"): {**_WHOLE, "logits": "logits = self.head(normed)"},
        **_BLOCK,
        ("attention", "forward"): {
            "mixed": "mixed = [head(x, cache) for head in self.heads]",
            "joined": "joined = torch.cat(mixed, dim=-1)",
            **_ATTENTION_END,
        },
        ("heads", "forward"): {
            "query": "query = self.query(x)",
            "key": "key = self.key(x)",
            "value": "value = self.value(x)",
            "keys": _KEPT,
            "values": _KEPT,
            "scores": "scores = query @ keys.transpose(1, 2)",
            "dropped": "dropped = self.dropout(weights)",
            **_ATTEND,
        },
        **_feed_forward("F.relu(hidden)"),
    },
    "gpt2": {
        ("", "forward"): {
            **_WHOLE,
            "padded_logits": "padded_logits = F.linear(normed, self.token_embedding.weight)",
            "logits": "logits = padded_logits[..., : self.config.vocab_size]",
        },
        **_BLOCK,
        ("attention", "forward"): {
            "fused": "fused = self.query_key_value(x)",
            **_THIRDS,
            "keys": _KEPT,
            "values": _KEPT,
            "mixed": "mixed = attend(query, keys, values)",
            "joined": "joined = mixed.transpose(1, 2).flatten(2)",
            **_ATTENTION_END,
        },
        **_SPLIT,
        **_TOGETHER,
        **_feed_forward('F.gelu(hidden, approximate="tanh")'),
    },
    "modern": {
        ("", "forward"): {
            **_ENDS,
            "embedded": "embedded = self.embedding_norm(token_embedded)",
            "logits": "logits = self.head(normed)",
        },
        **_BLOCK,
        ("attention", "forward"): {
            "fused": "fused = self.query_key_value(x)",
            **_THIRDS,
            "query_normed": "query_normed = self.query_norm(query)",
            "key_normed": "key_normed = self.key_norm(key)",
            "query_turned": "query_turned = self.rotation(query_normed, start)",
            "key_turned": "key_turned = self.rotation(key_normed, start)",
            "keys": _TURNED,
            "values": _TURNED,
            "mixed": "mixed = attend(query_turned, keys, values)",
            "joined": "joined = mixed.transpose(1, 2).flatten(2)",
            **_ATTENTION_END,
        },
        ("rotation", "forward"): {
            "cosine": "cosine = self.cosines[start : start + T]",
            "sine": "sine = self.sines[start : start + T]",
            "first": _HALVES,
            "second": _HALVES,
            "first_turned": "first_turned = first * cosine - second * sine",
            "second_turned": "second_turned = second * cosine + first * sine",
            "return": "return torch.cat([first_turned, second_turned], dim=-1)",
        },
        **_SPLIT,
        **_TOGETHER,
        **_feed_forward("rectified * rectified", rectified="rectified = F.relu(hidden)"),
    },
}
"""Model -> its statements; a new model is one more table here, as in `glossary.py`."""
