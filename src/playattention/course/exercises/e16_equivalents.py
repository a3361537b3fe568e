"""The KV cache: other ways to write it."""

EQUIVALENTS = (
    '''
import torch
from torch import nn

from playattention.course.pieces import FeedForward


class Cache:
    """Room for all keys and values, filled from the left."""

    def __init__(self):
        self.length = 0
        self.layers = {}

    def put(self, layer, new, room):
        if layer not in self.layers:
            n, B, H, _, D = new.shape
            self.layers[layer] = new.new_zeros(n, B, H, room, D)
        end = self.length + new.size(3)
        kept = self.layers[layer].clone()
        kept[:, :, :, self.length : end] = new
        self.layers[layer] = kept
        return kept[:, :, :, :end]


class Layer(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.heads = n_head
        self.ln1, self.ln2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.q = nn.Linear(n_embd, n_embd, bias=False)
        self.kv = nn.Linear(n_embd, 2 * n_embd, bias=False)
        self.o = nn.Linear(n_embd, n_embd, bias=False)
        self.ff = FeedForward(n_embd)


class CachedGPT(nn.Module):
    def __init__(self, vocab_size, seq_size, n_embd, n_head, n_layer):
        super().__init__()
        self.size = seq_size
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(seq_size, n_embd)
        self.layers = nn.ModuleList([Layer(n_embd, n_head) for _ in range(n_layer)])
        self.norm = nn.LayerNorm(n_embd)

    def forward(self, idx, cache=None):
        cache = cache or Cache()
        B, T = idx.shape
        places = cache.length + torch.arange(T, device=idx.device)
        if places[-1] >= self.size:
            raise ValueError("too many tokens")
        x = self.wte(idx) + self.wpe(places)
        for n, layer in enumerate(self.layers):
            normed = layer.ln1(x)
            q = layer.q(normed).view(B, T, layer.heads, -1).transpose(1, 2)
            new = layer.kv(normed).view(B, T, 2, layer.heads, -1).permute(2, 0, 3, 1, 4)
            k, v = cache.put(n, new, self.size)
            seen = torch.arange(k.size(2), device=idx.device) <= places[:, None]
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            x = x + layer.o(mixed.transpose(1, 2).reshape(B, T, -1))
            x = x + layer.ff(layer.ln2(x))
        cache.length += T
        return nn.functional.linear(self.norm(x), self.wte.weight), cache
''',
    '''
import torch
from torch import nn

from playattention.course.pieces import FeedForward


class Head(nn.Module):
    """Keeps its keys and values in the cache under its own number; one token at a time."""

    def __init__(self, n_embd, head_size, name):
        super().__init__()
        self.name = name
        self.query, self.key, self.value = (
            nn.Linear(n_embd, head_size, bias=False) for _ in range(3)
        )

    def forward(self, x, cache):
        kept = cache.setdefault(self.name, ())
        found = []
        for token in x.unbind(1):
            kept = (*kept, (self.key(token), self.value(token)))
            keys, values = (torch.stack(one, 1) for one in zip(*kept))
            scores = (keys @ self.query(token).unsqueeze(-1)).squeeze(-1)
            shares = torch.softmax(scores / keys.size(-1) ** 0.5, -1)
            found.append((shares.unsqueeze(1) @ values).squeeze(1))
        cache[self.name] = kept
        return torch.stack(found, 1)


class CachedGPT(nn.Module):
    def __init__(self, vocab_size, seq_size, n_embd, n_head, n_layer):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(vocab_size, n_embd))
        self.places = nn.Parameter(torch.randn(1, seq_size, n_embd))
        self.blocks = nn.ModuleList()
        for n in range(n_layer):
            block = nn.Module()
            block.norms = nn.ModuleList([nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)])
            block.heads = nn.ModuleList(
                [Head(n_embd, n_embd // n_head, (n, h)) for h in range(n_head)]
            )
            block.project = nn.Linear(n_embd, n_embd)
            block.work = FeedForward(n_embd)
            self.blocks.append(block)
        self.norm = nn.LayerNorm(n_embd)

    def forward(self, idx, cache=None):
        cache = dict(cache) if cache else {"seen": 0}
        begin = cache["seen"]
        cache["seen"] = begin + idx.size(1)
        if cache["seen"] > self.places.size(1):
            raise ValueError("the text is too long")
        x = self.tokens[idx] + self.places[:, begin : cache["seen"]]
        for block in self.blocks:
            normed = block.norms[0](x)
            x = x + block.project(torch.cat([head(normed, cache) for head in block.heads], -1))
            x = x + block.work(block.norms[1](x))
        return self.norm(x) @ self.tokens.t(), cache
''',
)
