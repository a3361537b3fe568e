"""A learner's second file, which `own_model.py` takes functions from."""

import torch

SCALE = 2.0


def turned(x, cos, sin, flip=False):
    first, second = x.chunk(2, dim=-1)
    if flip:
        first, second = second, first
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def norm(x, eps=1e-6):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * SCALE
