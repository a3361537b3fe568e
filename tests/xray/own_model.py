"""A learner's model that does in other words what others do, and more: food for `explain`."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.xray import own_helper
from tests.xray.own_helper import norm

# ruff: noqa: F841, PERF401 - as learners write


class Attention(nn.Module):
    """Names used again, a mask of ones and zeros, dropout in the middle of an expression."""

    def __init__(self, c, h, t):
        super().__init__()
        self.n_head, self.n_embd = h, c
        self.c_attn = nn.Linear(c, 3 * c)
        self.c_proj = nn.Linear(c, c, bias=False)
        self.register_buffer("bias", torch.tril(torch.ones(t, t)).view(1, 1, t, t))
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        att = F.softmax(att, dim=-1)
        att = self.drop(att)
        y = att @ v
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.drop(self.c_proj(y))


class Turning(nn.Module):
    """Rotary positions, norms of queries and keys, einsum, and fused attention beside it."""

    def __init__(self, c, h, t):
        super().__init__()
        self.h = h
        self.qkv = nn.Linear(c, 3 * c, bias=False)
        frequencies = 1.0 / 100 ** (torch.arange(0, c // h, 2) / (c // h))
        self.register_buffer("frequencies", frequencies)
        self.register_buffer("sin", torch.outer(torch.arange(t), frequencies).sin())
        self.norm = nn.RMSNorm(c // h)
        self.temperature = nn.Parameter(torch.ones(h, 1, 1))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.h, -1).unbind(2)
        q, k = norm(q), self.norm(k)
        angles = torch.outer(torch.arange(T, dtype=torch.float32), self.frequencies)
        cos, sin = angles.cos()[None, :, None, :], self.sin[:T].view(1, T, 1, -1)
        q = own_helper.turned(q, cos, sin)
        k = own_helper.turned(k, cos, sin, flip=True)
        scores = torch.einsum("bthd,bshd->bhts", q, k) * self.temperature
        may = torch.ones(T, T, dtype=torch.bool).tril()
        scores = torch.where(may, scores, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        out = torch.einsum("bhts,bshd->bthd", weights, v).reshape(B, T, C)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return out + fused.transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Whole sublayers in one expression, layers in a Sequential, a number passed by name."""

    def __init__(self, c, h, t):
        super().__init__()
        self.ln = nn.LayerNorm(c, bias=False)
        self.attn = Attention(c, h, t)
        self.turning = Turning(c, h, t)
        self.mlp = nn.Sequential(nn.Linear(c, 4 * c), nn.GELU(), nn.Linear(4 * c, c))
        self.scale = 0.7

    def forward(self, x, depth=0):
        x = x + self.attn(self.ln(x))
        x = x + self.turning(F.layer_norm(x, (x.size(-1),)))
        h = F.relu(self.mlp[0](x)).square()
        y = self.mlp[2](h)
        x = x + self.scale * self.mlp(x) / (depth + 1) + y * 0.5
        x = x * torch.sigmoid(x) - F.silu(x).mean(dim=-1, keepdim=True)
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True, unbiased=False)
        x = (x - mean) / torch.sqrt(var + 1e-5)
        return F.normalize(x, dim=-1)


class Shapes(nn.Module):
    """Movements, and what takes a row into one number."""

    def forward(self, x):
        deviation = x.std(dim=1)
        last = x[:, -1]
        rolled = torch.roll(x, 1, dims=1)
        padded = F.pad(x, (0, 0, 1, 0))[:, :-1]
        low = x.tril()
        total = x.sum()
        biggest = x.amax(1)
        summed = torch.logsumexp(x, dim=-1)
        logs = F.log_softmax(x, -1)
        bounded = x.clamp(-0.1, 0.1)
        power = x**2
        column = x @ x[0, 0]
        woven = torch.stack([x, rolled], dim=-1).flatten(-2)[..., ::2]
        return woven + padded


class Own(nn.Module):
    """Loops by number, lists filled in a loop, a tied head, cells chosen by ids, a walrus."""

    def __init__(self, v=11, c=12, h=3, t=7, n=2):
        super().__init__()
        self.emb = nn.Embedding(v, c)
        self.pos = nn.Parameter(torch.randn(1, t, c))
        self.layers = nn.ModuleList([Block(c, h, t) for _ in range(n)])
        self.shapes = Shapes()
        self.extra = nn.ModuleDict({"one": nn.Linear(c, c), "two": nn.Tanh()})
        self.head = nn.Linear(c, v, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, idx, targets=None):
        T = idx.shape[1]
        x = self.emb(idx) + self.pos[:, :T]
        for i, layer in enumerate(self.layers):
            x = layer(x, depth=i)
        x = self.shapes(x)
        outs = []
        for layer in self.layers:
            outs.append(layer.ln(x))
        outs.append(x)
        joined = torch.cat(outs, dim=-1)
        for i in range(2):
            x = x + self.layers[i].ln(x)
        total = sum([self.extra["one"](part) for part in outs])
        x = self.extra["two"](total) + x
        x = self.extra["one"](x) if T > 2 else x
        if (y := x.exp()).dim() == 3:
            x = -y
        first = idx[:, 0] % T
        picked = x[torch.arange(x.size(0)), first]
        gathered = x.gather(2, idx.unsqueeze(-1))
        logits = self.head(x)
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        last = F.cross_entropy(self.head(x).flatten(0, 1), idx.flatten(), reduction="sum")
        return logits, loss
