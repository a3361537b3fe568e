"""A watch: real values of the real lines, in their order, whatever the model."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from playattention import xray
from playattention.errors import UserError
from playattention.xray.trace import Trace
from playattention.xray.watch import explicit_attention
from tests.xray import truth
from tests.xray.conftest import SIZES


def key(value: xray.Value) -> tuple[str, str, int]:
    """Return what tells a value from all others."""
    return value.module, value.name, value.occurrence


def test_every_value_is_what_a_plain_float64_computation_gives(model, idx, targets):
    trace = xray.watch(model, idx, targets)
    weights = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    expected = truth.values(model.config.name, weights, idx.numpy(), targets.numpy(), SIZES)
    assert sorted(map(key, trace)) == sorted(expected)
    for value in trace:
        mine, other = value.tensor.double().numpy(), expected[key(value)]
        finite = np.isfinite(other)
        assert mine.shape == other.shape, value
        assert (mine[~finite] == other[~finite]).all(), value
        largest = np.abs(other[finite]).max()
        assert np.abs(mine[finite] - other[finite]).max() <= 1e-5 * largest, value


def test_the_values_come_in_the_order_in_which_they_came_to_be(model, idx, targets):
    trace = xray.watch(model, idx, targets)
    names = [value.name for value in trace.find(module="")]
    assert names.index("embedded") < names.index("x") < names.index("normed") < len(names) - 1
    places = {key(value): place for place, value in enumerate(trace)}
    attended = places["blocks.0", "attended", 0]
    assert places["blocks.0.attention", "projected", 0] < attended
    assert places["blocks.1", "attention_input", 0] > attended


def test_logits_and_loss_are_bitwise_those_of_the_explicit_branch_unwatched(model, idx, targets):
    trace = xray.watch(model, idx, targets)
    with explicit_attention(model), torch.no_grad():
        logits, loss = model(idx, targets)
    assert torch.equal(trace.one("", "return[0]").tensor, logits)
    assert torch.equal(trace.one("", "return[1]").tensor, loss)


def test_the_fused_branch_gives_the_same_and_is_back_after_a_watch(idx):
    from tests.xray.conftest import small_model

    model = small_model("gpt2")
    with torch.no_grad():
        fused, _ = model(idx)
    trace = xray.watch(model, idx)
    assert trace.find(name="weights")
    assert all(block.attention.flash_attention for block in model.blocks)
    torch.testing.assert_close(trace.one("", "logits").tensor, fused)


def test_a_cached_generation_ends_in_the_values_of_an_uncached_watch(model, idx):
    from playattention import KVCache

    whole = xray.watch(model, idx).one("", "logits").tensor
    cache = KVCache(SIZES["seq_size"])
    with torch.no_grad():
        steps = [model(idx[:, [place]], cache=cache)[0] for place in range(idx.size(1))]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-4, atol=1e-4)


def test_a_value_knows_its_line(model, idx):
    for value in xray.watch(model, idx):
        text = Path(value.file).read_text(encoding="utf-8").splitlines()
        assert text[value.line - 1].strip().startswith(value.source.splitlines()[0])


def test_a_training_model_is_watched_as_it_is_dropout_and_all(idx):
    from playattention import GPTConfig, GPTModel

    model = GPTModel(GPTConfig(**SIZES, dropout=0.5)).train()
    torch.manual_seed(1)
    trace = xray.watch(model, idx)
    torch.manual_seed(1)
    with torch.no_grad():
        logits, _ = model(idx)
    assert torch.equal(trace.one("", "logits").tensor, logits)
    weights, dropped = (
        trace.one("blocks.0.attention.heads.0", name).tensor for name in ("weights", "dropped")
    )
    assert ((dropped == 0) & (weights > 0)).any()
    assert model.training


def test_modules_limits_what_is_kept(model, idx):
    trace = xray.watch(model, idx, modules=["", "blocks.1", "blocks.*.feed_forward"])
    assert trace.modules == ["", "blocks.0.feed_forward", "blocks.1", "blocks.1.feed_forward"]
    whole = xray.watch(model, idx)
    for value in trace:
        assert torch.equal(value.tensor, whole.one(*key(value)).tensor)
    assert trace.nbytes < whole.nbytes


def test_the_memory_is_told_before_and_kept_to(model, idx, targets):
    told = xray.memory(model, idx, targets)
    assert told == xray.watch(model, idx, targets).nbytes
    part = xray.memory(model, idx, modules="blocks.1")
    assert part == xray.watch(model, idx, modules="blocks.1").nbytes < told


def test_a_watch_over_its_limit_is_refused_before_the_model_runs(model, idx):
    needed = xray.memory(model, idx)
    ran = []
    model.register_forward_hook(lambda *_: ran.append(1))
    with pytest.raises(UserError, match=r"limit = [\d,]+ bytes: .*; allowed: fewer tokens"):
        xray.watch(model, idx, limit=needed - 1)
    assert len(xray.watch(model, idx, limit=needed)) > 0
    assert ran == [1]


def test_a_model_that_looks_at_numbers_is_stopped_at_its_limit(written, gpt, idx):
    learner = written(
        "looks",
        """
        from torch import nn

        class Looks(nn.Module):
            def forward(self, idx):
                first = idx.float()
                if first.max().item() > 3:
                    second = first.repeat(1000, 1)
                return second
        """,
    )
    assert xray.memory(learner.Looks(), idx) is None
    with pytest.raises(UserError, match="at least"):
        xray.watch(learner.Looks(), idx, limit=10_000)
    assert sys.gettrace() is None or "Tracer" not in repr(sys.gettrace())


def test_the_model_is_as_it_was(model, idx, targets):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    xray.watch(model, idx, targets)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_another_tracer_is_put_back_even_after_an_exception(gpt, idx):
    def other(frame, event, arg):
        return None

    previous = sys.gettrace()
    try:
        sys.settrace(other)
        xray.watch(gpt, idx)
        first = sys.gettrace()
        gpt.blocks[1].register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            xray.watch(gpt, idx)
        second = sys.gettrace()
    finally:
        sys.settrace(previous)
    assert first is other
    assert second is other


def test_a_watch_sees_its_own_thread_alone(gpt, idx):
    """Another thread that runs the same model at the same time is not in the trace.

    From Python 3.12 on it can hide instructions from the watch: that is told, and never a gap.
    """
    started, done = threading.Event(), threading.Event()

    def busy() -> None:
        with torch.no_grad():
            while not done.is_set():
                gpt(idx)
                started.set()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        started.wait()
        beside = [key(value) for value in xray.watch(gpt, idx)]
    except UserError as error:
        assert sys.version_info >= (3, 12)
        assert "ran in another thread" in str(error)
        beside = None
    finally:
        done.set()
        thread.join()
    assert beside in (None, [key(value) for value in xray.watch(gpt, idx)])


@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch's own, when its compiler is imported
def test_a_compiled_model_is_refused(gpt, idx):
    with pytest.raises(UserError, match=r"compiled by torch\.compile"):
        xray.watch(torch.compile(gpt), idx)
    gpt.blocks[1].compile()
    with pytest.raises(UserError, match=r"its module 'blocks\.1' is compiled"):
        xray.watch(gpt, idx)


def test_a_model_wrapped_in_ddp_is_refused(gpt, idx, tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        wrapped = nn.parallel.DistributedDataParallel(gpt)
        with pytest.raises(UserError, match="wrapped for several devices"):
            xray.watch(wrapped, idx)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(1, 8, dtype=torch.long), "8 tokens: the model takes seq_size = 7 at most"),
        (torch.zeros(4, dtype=torch.long), r"must be token ids \(B, T\)"),
        (torch.zeros(1, 4), r"must be token ids \(B, T\)"),
        (torch.zeros(1, 0, dtype=torch.long), "at least one"),
        (torch.tensor([[3, 11]]), "ids from 3 to 11: must be 0 to 10"),
        (torch.tensor([[-1, 2]]), "ids from -1 to 2: must be 0 to 10"),
    ],
)
def test_tokens_that_do_not_fit_are_told(model, wrong, message):
    with pytest.raises(UserError, match=message):
        xray.watch(model, wrong)


def test_targets_of_another_shape_and_unknown_modules_are_told(gpt, idx):
    with pytest.raises(UserError, match=r"targets = shape \(2, 4\)"):
        xray.watch(gpt, idx, idx[:, 1:])
    with pytest.raises(UserError, match=r"unknown module 'blocks.7' \(did you mean 'blocks"):
        xray.watch(gpt, idx, modules=["blocks.7"])
    with pytest.raises(UserError, match="must be a torch"):
        xray.watch("gpt", idx)


def test_find_takes_paths_patterns_and_names(gpt, idx):
    trace = xray.watch(gpt, idx)
    assert len(trace.find(module="blocks.*.attention.heads.1", name="weights")) == 2
    assert [value.name for value in trace.find("blocks.0.attention", "mixed")] == [
        f"mixed[{head}]" for head in range(3)
    ]
    assert len(trace.find(name="mixed[2]")) == 2
    assert [value.occurrence for value in trace.find("", "x")] == [0, 1, 2]
    assert trace.one("", "x", 1).source == "x = block(x, cache)"
    with pytest.raises(UserError, match=r"unknown value in module '' 'logit' .*'logits'"):
        trace.find("", "logit")
    with pytest.raises(UserError, match="allowed: 0 to 2"):
        trace.one("", "x", 3)


def test_lines_show_the_source_with_what_each_line_made(model, idx):
    trace = xray.watch(model, idx)
    listing = trace.lines("blocks.1.feed_forward")
    made = {line.text.split(" = ")[0].strip(): line.values for line in listing.lines if line.values}
    assert [value.name for value in made["hidden"]] == ["hidden"]
    assert "hidden = self.expand(x)  # (B, T, 4C)" in repr(listing)
    assert "hidden (2, 5, 48)" in repr(listing)
    with pytest.raises(UserError, match="unknown function of module"):
        trace.lines("blocks.1.feed_forward", "backward")
    with pytest.raises(UserError, match=r"unknown module 'block\.1'"):
        trace.lines("block.1")


def test_a_trace_saved_and_loaded_is_the_same(model, idx, targets, tmp_path):
    trace = xray.watch(model, idx, targets)
    trace.save(tmp_path / "a.safetensors")
    again = Trace.load(tmp_path / "a.safetensors")
    assert [repr(value) for value in again] == [repr(value) for value in trace]
    for one, other in zip(trace, again, strict=True):
        assert torch.equal(one.tensor, other.tensor)
        assert one.call == other.call
    assert again.parts == trace.parts
    assert again.sources == trace.sources
    assert again.weights.keys() == trace.weights.keys()
    assert [list(call.arguments) for call in again.calls] == [
        list(call.arguments) for call in trace.calls
    ]
    # What was one tensor is one tensor again: dropout that is off gives back what it was given.
    path = trace.find(name="dropped")[0].module
    assert again.one(path, "dropped").tensor is again.one(path, "weights").tensor


def test_a_trace_without_weights_is_smaller(gpt, idx, tmp_path):
    trace = xray.watch(gpt, idx)
    trace.save(tmp_path / "with")
    trace.save(tmp_path / "without", weights=False)
    weights = sum(weight.nbytes for weight in gpt.parameters())
    saved = (tmp_path / "with").stat().st_size - (tmp_path / "without").stat().st_size
    assert saved > weights
    assert Trace.load(tmp_path / "without").weights == {}


def test_a_file_that_is_no_trace_is_told(gpt, idx, tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(UserError, match="missing or damaged"):
        Trace.load(tmp_path / "none")
    save_file({"a": torch.ones(2)}, tmp_path / "other")
    with pytest.raises(UserError, match="no trace"):
        Trace.load(tmp_path / "other")
    xray.watch(gpt, idx).save(tmp_path / "cut")
    whole = (tmp_path / "cut").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="missing or damaged"):
        Trace.load(tmp_path / "cut")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        xray.watch(gpt, idx).save(tmp_path / "folder")
    with pytest.raises(UserError, match="there is no folder"):
        xray.watch(gpt, idx).save(tmp_path / "none" / "file")
    with pytest.raises(UserError, match="is a folder"):
        xray.watch(gpt, idx).save("")


def test_a_module_without_lines_of_its_own_and_an_argument_are_told(gpt, idx):
    trace = xray.watch(gpt, idx)
    with pytest.raises(UserError, match=r"module 'head': torch.*Linear has no"):
        trace.find("head")
    with pytest.raises(UserError, match="has no lines that were watched"):
        trace.lines("blocks.0.attention_norm")
    with pytest.raises(UserError, match=r"name = x: forward was given it; it is 'blocks\.0:"):
        trace.find("blocks.0.attention.heads.0", "x")


def test_models_without_lines_or_targets_are_told(gpt, idx):
    with pytest.raises(UserError, match="all its lines are in torch's own files"):
        xray.watch(nn.Sequential(nn.Embedding(11, 4)), idx)
    with pytest.raises(UserError, match="targets: the forward of FeedForward takes none"):
        xray.watch(gpt.blocks[0].feed_forward, idx, idx)
    with pytest.raises(UserError, match="must name at least one module"):
        xray.watch(gpt, idx, modules=[])


def test_of_another_librarys_model_its_own_lines_are_shown_and_not_torchs(idx):
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = GPT2Config(vocab_size=11, n_positions=7, n_embd=12, n_layer=2, n_head=3)
    theirs = GPT2LMHeadModel(sizes).eval()
    trace = xray.watch(theirs, idx)
    assert trace.find(name="position_embeds")
    assert not [value for value in trace if f"{Path(torch.__file__).parent}" in value.file]


def test_weights_changed_since_are_noticed(gpt, idx):
    trace = xray.watch(gpt, idx)
    trace.check_weights()
    with torch.no_grad():
        gpt.head.weight.add_(1)
    with pytest.raises(UserError, match=r"weight 'head\.weight': changed since the watch"):
        trace.check_weights()
