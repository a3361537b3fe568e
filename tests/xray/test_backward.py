"""The way back: gradients against finite differences and against formulas written out."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import nn

from playattention.errors import UserError
from playattention.xray.backward import Backward, backward
from playattention.xray.patching import patch
from playattention.xray.watch import watch
from playattention.xray.whatif import ablate_heads
from tests.xray.changes import everything

WIDTH = 1e-5


@pytest.fixture
def back(model: nn.Module, idx: torch.Tensor, targets: torch.Tensor) -> Backward:
    """The way back through a model in float64."""
    return backward(model.double(), idx, targets)


def loss_of(model: nn.Module, idx: torch.Tensor, targets: torch.Tensor) -> float:
    with torch.no_grad():
        return model(idx, targets)[1].item()


def somewhere(tensor: torch.Tensor, seed: int) -> tuple[int, ...]:
    """Return the place of one number of a tensor."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(int(torch.randint(size, (), generator=generator)) for size in tensor.shape)


def test_gradients_of_weights_agree_with_finite_differences(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor, back: Backward
):
    for name, weight in model.named_parameters():
        for seed in (0, 1):
            place = somewhere(weight, seed)
            before, losses = weight[place].item(), []
            for width in (WIDTH, -WIDTH):
                with torch.no_grad():
                    weight[place] = before + width
                losses.append(loss_of(model, idx, targets))
            with torch.no_grad():
                weight[place] = before
            slope = (losses[0] - losses[1]) / (2 * WIDTH)
            assert back.gradients[name][place].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


def adds_positions(back: Backward) -> bool:
    """Tell whether the model has a table of positions; else queries and keys are turned."""
    return any(value.name == "position_embedded" for value in back.trace)


def module_outputs(back: Backward) -> list[tuple[str, str, str]]:
    """Return values that a module returned: where each is bound, and the module."""
    bound = [
        ("", "token_embedded", "token_embedding"),
        ("", "normed", "final_norm"),
    ]
    starts = {"position_embedded": "position_embedding", "embedded": "embedding_norm"}
    start = "position_embedded" if adds_positions(back) else "embedded"
    bound.append(("", start, starts[start]))
    for layer in (0, 1):
        block = f"blocks.{layer}"
        bound += [
            (block, "attention_input", f"{block}.attention_norm"),
            (block, "attended", f"{block}.attention"),
            (block, "computed", f"{block}.feed_forward"),
            (f"{block}.attention", "projected", f"{block}.attention.projection"),
            (f"{block}.feed_forward", "hidden", f"{block}.feed_forward.expand"),
            (f"{block}.feed_forward", "contracted", f"{block}.feed_forward.contract"),
        ]
        for value in back.trace.find(f"{block}.attention*", "dropped"):
            short = "dropout" if "heads" in value.module else "attention_dropout"
            bound.append((value.module, "dropped", f"{value.module}.{short}"))
    return bound


def test_gradients_of_values_agree_with_finite_differences(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor, back: Backward
):
    """Each is changed a little where its module returns it."""
    for module, name, path in module_outputs(back):
        value = back.trace.one(module, name)
        for seed in (0, 1):
            place, losses = somewhere(value.tensor, seed), []
            for width in (WIDTH, -WIDTH):
                changed = value.tensor.clone()
                changed[place] += width
                with patch(model, path, changed):
                    losses.append(loss_of(model, idx, targets))
            slope = (losses[0] - losses[1]) / (2 * WIDTH)
            found = back.of_values[value][place].item()
            assert found == pytest.approx(slope, rel=1e-5, abs=1e-8), value.title


def test_the_gradient_of_the_logits_is_what_was_believed_less_what_came(
    targets: torch.Tensor, back: Backward
):
    """Softmax less one-hot, over the targets that count."""
    believed = torch.softmax(back.trace.one("", "logits").tensor, dim=-1)
    came = nn.functional.one_hot(targets.clamp(min=0), 11)
    counts = (targets != -100)[..., None]
    expected = (believed - came) * counts / 9
    torch.testing.assert_close(back.of("", "logits"), expected, rtol=1e-10, atol=1e-12)


def test_gradients_follow_the_chain_rule_through_attention(model: nn.Module, back: Backward):
    """Each line's derivative written out, from `joined` back to the `scores`."""
    weight = model.state_dict()["blocks.1.attention.projection.weight"]
    joined = back.of("blocks.1.attention", "projected") @ weight
    torch.testing.assert_close(back.of("blocks.1.attention", "joined"), joined)
    for weights in back.trace.find("blocks.1.attention*", "weights"):

        def tensor(name: str, module: str = weights.module) -> torch.Tensor:
            return back.trace.one(module, name).tensor

        def gradient(name: str, module: str = weights.module) -> torch.Tensor:
            found = back.of(module, name)
            assert found is not None
            return found

        asking = "query_turned" if model.config.name == "modern" else "query"
        values, keys, query = tensor("values"), tensor("keys"), tensor(asking)
        dropped = gradient("mixed") @ values.transpose(-1, -2)
        masked = weights.tensor * (dropped - (dropped * weights.tensor).sum(-1, keepdim=True))
        scores = masked * 4**-0.5
        expected = {
            "dropped": dropped,
            "weights": dropped,
            "values": tensor("dropped").transpose(-1, -2) @ gradient("mixed"),
            "masked": masked,
            "scaled": masked,
            "scores": scores,
            asking: scores @ keys,
            "keys": scores.transpose(-1, -2) @ query,
        }
        for name, one in expected.items():
            torch.testing.assert_close(gradient(name), one, rtol=1e-9, atol=1e-12)


def test_a_sum_hands_its_gradient_to_both_sides(back: Backward):
    for layer in (0, 1):
        total = back.of(f"blocks.{layer}", "x_attended")
        assert torch.equal(back.of(f"blocks.{layer}", "attended"), total)
        total = back.of(f"blocks.{layer}", "return")
        assert torch.equal(back.of(f"blocks.{layer}", "computed"), total)
    if adds_positions(back):
        assert torch.equal(back.of("", "token_embedded"), back.of("", "embedded"))


def test_every_value_the_loss_needs_has_a_gradient_of_its_shape(back: Backward):
    without = {value.variable for value, found in back.of_values.items() if found is None}
    places = {"positions"} if adds_positions(back) else {"cosine", "sine"}
    assert without == places
    for value, found in back.of_values.items():
        assert found is None or found.shape == value.tensor.shape
    assert back.of("", "loss").item() == 1.0


def test_the_model_is_left_as_it_was(model: nn.Module, idx: torch.Tensor, targets: torch.Tensor):
    weight = [*model.parameters()][-1]
    weight.grad = kept = torch.ones_like(weight)
    held = everything(model)
    found = backward(model, idx, targets)
    assert everything(model) == held
    assert weight.grad is kept
    assert all(weight._backward_hooks in (None, {}) for weight in model.parameters())
    assert not any(value.tensor.requires_grad for value in found.trace.values)
    assert torch.equal(found.loss, watch(model, idx, targets).one("", "loss").tensor)


def test_in_training_mode_the_dropout_of_the_pass_counts(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    model.train()
    torch.manual_seed(1)
    found = backward(model, idx, targets)
    after = torch.get_rng_state()
    torch.manual_seed(1)
    trace = watch(model, idx, targets)
    assert torch.equal(torch.get_rng_state(), after)
    assert torch.equal(found.loss, trace.one("", "loss").tensor)
    struck = trace.one("", "x", 0).tensor == 0
    assert struck.any()
    assert not found.of("", "embedded")[struck].any()


def test_a_changed_model_has_the_gradients_of_the_change(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    with ablate_heads(model, [(0, 1)]):
        found = backward(model, idx, targets)
    weights = found.trace.find("blocks.0.attention*", "weights")
    if len(weights) == 1:
        gradient = found.of_values[weights[0]]
        assert not gradient[:, 1].any()
        assert gradient[:, 0].any()
    else:
        assert [found.of_values[value] is None for value in weights] == [False, True, False]


def test_modules_limits_the_values_but_not_the_weights(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    whole, part = (backward(model, idx, targets, modules) for modules in (None, "blocks.1"))
    assert part.trace.modules == ["blocks.1"]
    assert torch.equal(part.of("blocks.1", "attended"), whole.of("blocks.1", "attended"))
    assert torch.equal(part.loss, whole.loss)
    assert part.gradients.keys() == dict(model.named_parameters()).keys()
    for name, gradient in part.gradients.items():
        assert torch.equal(gradient, whole.gradients[name])


def test_a_frozen_weight_has_no_gradient(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    frozen, other = "blocks.1.feed_forward.expand.weight", "blocks.1.feed_forward.contract.weight"
    model.get_parameter(frozen).requires_grad_(False)
    found = backward(model, idx, targets)
    assert found.gradients[frozen] is None
    assert found.gradients[other] is not None
    assert not model.get_parameter(frozen).requires_grad


LEARNERS = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(5, 3)
            self.gain = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

        def forward(self, idx, targets):
            gain = self.gain
            x = self.table(idx)
            doubled = x * gain
            doubled *= 2.0
            doubled += x
            loss = doubled.square().sum()
            return x, loss
"""


def test_what_a_model_changes_in_place_has_the_gradient_of_each_number_shown(
    written: Callable[[str, str], ModuleType],
):
    model = written("learners", LEARNERS).Net()
    idx = torch.tensor([[1, 3]])
    found = backward(model, idx, idx)
    values = found.trace.find("", "doubled")
    x, last = found.trace.one("", "x").tensor, values[-1].tensor
    torch.testing.assert_close(last, x * model.gain.detach() * 2 + x)
    expected = [4 * last, 2 * last, 2 * last]
    for value, gradient in zip(values, expected, strict=True):
        torch.testing.assert_close(found.of_values[value], gradient)
    torch.testing.assert_close(found.of("", "gain"), (4 * last * x).sum((0, 1)))
    assert not model.gain._backward_hooks


def test_a_model_without_a_loss_is_refused(model: nn.Module, idx: torch.Tensor):
    model.requires_grad_(False)
    held = everything(model)
    with pytest.raises(UserError, match="returned no loss that its weights could lower; allowed"):
        backward(model, idx, idx)
    assert everything(model) == held


def test_a_compiled_model_is_refused(model: nn.Module, idx: torch.Tensor):
    with pytest.raises(UserError, match="compiled by"):
        backward(torch.compile(model, backend="eager"), idx, idx)


def test_it_says_in_one_line_what_it_holds(back: Backward):
    assert len(repr(back)) <= 80
    assert repr(back).startswith(f"<Backward: loss {back.loss.item():.4f}, gradients of ")
    total = sum(gradient.square().sum() for gradient in back.gradients.values())
    assert back.norm == pytest.approx(total.sqrt().item())
