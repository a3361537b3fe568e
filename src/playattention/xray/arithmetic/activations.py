"""Activations: functions of each number alone, with the settings that torch gives them.

Does not know modules (`layers.py`).
"""

import math
from typing import Any

import torch
import torch.nn.functional as F

from playattention.xray.arithmetic.cells import Node
from playattention.xray.arithmetic.operations import elementwise, operation


@operation("relu")
def relu(input: Any, inplace: bool = False) -> Node:
    """Set to 0 what is below."""
    del inplace  # no matter here and below, as each value is kept as it was
    return elementwise("relu", "max(0, {0})", torch.relu, [("operand", input)])


@operation("silu")
def silu(input: Any, inplace: bool = False) -> Node:
    """Sigmoid-weighted linear unit (Hendrycks & Gimpel 2016)."""
    del inplace
    return elementwise("silu", "{0} / (1 + exp(-{0}))", F.silu, [("operand", input)])


@operation("leaky_relu")
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Node:
    """Make small what is below 0."""
    del inplace

    def compute(part: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(part, negative_slope)

    formula = f"{{0}} if {{0}} > 0, else {negative_slope:g} * {{0}}"
    return elementwise("leaky relu", formula, compute, [("operand", input)])


@operation("elu")
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Node:
    """Exponential linear unit (Clevert et al. 2016)."""
    del inplace

    def compute(part: torch.Tensor) -> torch.Tensor:
        return F.elu(part, alpha)

    formula = f"{{0}} if {{0}} > 0, else {alpha:g} * (exp({{0}}) - 1)"
    return elementwise("elu", formula, compute, [("operand", input)])


@operation("softplus")
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Node:
    """Smooth relu; far above 0 torch leaves a number as it is."""

    def compute(part: torch.Tensor) -> torch.Tensor:
        return F.softplus(part, beta, threshold)

    formula = "ln(1 + exp({0}))" if beta == 1 else f"ln(1 + exp({beta:g} * {{0}})) / {beta:g}"
    return elementwise("softplus", formula, compute, [("operand", input)])


@operation("gelu")
def gelu(input: Any, approximate: str = "none") -> Node:
    """Gaussian error linear unit, exact or by tanh (Hendrycks & Gimpel 2016)."""
    inner = f"{math.sqrt(2 / math.pi):.4f} * ({{0}} + 0.044715 * {{0}}^3)"
    formulas = {
        "none": "{0} * (1 + erf({0} / sqrt(2))) / 2",
        "tanh": f"{{0}} * (1 + tanh({inner})) / 2",
    }

    def compute(part: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(part, approximate=approximate)

    words = "gelu" if approximate == "none" else "gelu, by tanh"
    return elementwise(words, formulas[approximate], compute, [("operand", input)])
