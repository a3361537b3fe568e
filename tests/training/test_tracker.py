"""Trackers, read back as their own programs read them."""

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.training import tracker
from playattention.training.changes import apply_changes
from playattention.training.loop import Trainer, resume, train
from playattention.training.report import read_log, read_samples
from playattention.training.run import create_run, read_config

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def tracked(gpt_config: RunConfig) -> RunConfig:
    """A small run that tells TensorBoard, with samples at steps 0, 4 and 8."""
    return gpt_config.updated(train={"tracker": "tensorboard", "steps": 8, "eval_every": 4})


def told(folder: Path) -> tuple[dict[int, dict[str, float]], dict[int, str]]:
    """Return the numbers and the samples by step, as TensorBoard shows them; none may be twice."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    tags = events.Tags()
    rows: dict[int, dict[str, float]] = {}
    for name in tags["scalars"]:
        for event in events.Scalars(name):
            assert name not in rows.setdefault(event.step, {})
            rows[event.step][name] = event.value
    samples = events.Tensors("sample/text_summary") if tags["tensors"] else []
    assert max(Counter(event.step for event in samples).values(), default=1) == 1
    texts = {event.step: event.tensor_proto.string_val[0].decode() for event in samples}
    return rows, texts


def assert_told_as_logged(folder: Path) -> None:
    """The tracker must hold what log.csv and generated_samples.txt hold, and nothing else."""
    rows, samples = told(folder)
    logged = {}
    for row in read_log(folder):
        known = {name: value for name, value in vars(row).items() if value is not None}
        logged[known.pop("step")] = pytest.approx(known, rel=1e-6)
    assert rows == logged
    shown = {
        step: "".join(f"    {line}" for line in text.splitlines(keepends=True))
        for step, text in read_samples(folder).items()
    }
    assert samples == shown


def test_tensorboard_shows_what_the_files_hold(tracked: RunConfig):
    folder = train(tracked, "a", quiet=True)
    assert [row.step for row in read_log(folder)] == list(range(9))
    assert list(read_samples(folder)) == [0, 4, 8]
    assert_told_as_logged(folder)


def test_without_a_tracker_there_is_none(gpt_config: RunConfig):
    folder = train(gpt_config, "a", quiet=True)
    assert not (folder / "tensorboard").exists()
    assert not (folder / "wandb.json").exists()


@pytest.mark.parametrize("killed_at", [2, 7])
def test_after_a_kill_no_step_is_shown_twice(
    tracked: RunConfig, killed_at: int, monkeypatch: pytest.MonkeyPatch
):
    """It goes on from step 0 or 4, and what came after is told again in the place of before."""
    folder = create_run(tracked, "a")
    update = Trainer.update

    def killed(trainer: Trainer) -> object:
        if trainer.step == killed_at:
            raise KeyboardInterrupt
        return update(trainer)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            resume(folder, quiet=True)
    assert max(told(folder)[0]) == killed_at
    resume(folder, quiet=True)
    assert max(told(folder)[0]) == 8
    assert_told_as_logged(folder)


def test_at_a_checkpoint_all_before_it_is_on_the_disk(
    tracked: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    """What a kill takes must be steps that are done again."""
    seen = []
    save = Trainer.save

    def looking(trainer: Trainer, val_loss: float | None) -> None:
        save(trainer, val_loss)
        seen.append((trainer.step, sorted(told(trainer.folder)[0])))

    monkeypatch.setattr(Trainer, "save", looking)
    train(tracked, "a", quiet=True)
    assert seen == [(step, list(range(step + 1))) for step in (0, 4, 8)]


def test_a_run_can_take_up_a_tracker_later(gpt_config: RunConfig):
    folder = train(gpt_config, "a", quiet=True)
    wanted = read_config(folder).updated(train={"steps": 6, "tracker": "tensorboard"})
    assert "train.tracker: none -> tensorboard" in apply_changes(folder, wanted)
    resume(folder, quiet=True)
    assert sorted(told(folder)[0]) == [5, 6]


def test_a_run_trains_to_the_same_weights_with_a_tracker(tracked: RunConfig, gpt_config: RunConfig):
    with_it = train(tracked, "a", quiet=True)
    plain = train(tracked.updated(train={"tracker": "none"}), "b", quiet=True)
    weights = "checkpoints/step_00000008/model.safetensors"
    assert (with_it / weights).read_bytes() == (plain / weights).read_bytes()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_told_before_anything_is_laid_out(
    gpt_config: RunConfig, name: str, monkeypatch: pytest.MonkeyPatch
):
    folder = create_run(gpt_config, "before")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(tracker, "find_spec", lambda it: None if it == name else find_spec(it))
    monkeypatch.setitem(sys.modules, name, None)
    wanted = gpt_config.updated(train={"tracker": name})
    expected = (
        f"tracker = '{name}': {name} is not installed; allowed: none, or after "
        f"pip install 'playattention[{name}]'"
    )
    with pytest.raises(UserError) as error:
        create_run(wanted, "a")
    assert str(error.value) == expected
    assert not Path("logs/a").exists()
    with pytest.raises(UserError) as error:
        apply_changes(folder, read_config(folder).updated(train={"tracker": name}))
    assert str(error.value) == expected
    assert read_config(folder).train.tracker == "none"


# Weights & Biases, without its servers.


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep wandb from the network; its own leftovers are no warnings of ours."""
    monkeypatch.setenv("WANDB_MODE", "offline")


def history(folder: Path) -> tuple[list[str], list[tuple[int, dict[str, object]]]]:
    """Return the ids and the rows of a run's offline files, in their order."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    ids, rows = [], []
    files = (folder / "wandb").glob("offline-run-*/*.wandb")
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
        store = DataStore()
        store.open_for_scan(str(path))
        while (content := store.scan_data()) is not None:
            record = Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "run":
                ids.append(record.run.run_id)
            if record.WhichOneof("record_type") == "history":
                values = {
                    item.key or ".".join(item.nested_key): json.loads(item.value_json)
                    for item in record.history.item
                }
                rows.append((int(values["_step"]), values))
        store.close()
    return ids, rows


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_wandb_is_told_each_step_once_under_one_id(
    tracked: RunConfig, offline: None, monkeypatch: pytest.MonkeyPatch
):
    """Also after a kill at step 7 that goes on from step 4."""
    folder = create_run(tracked.updated(train={"tracker": "wandb"}), "a")
    update = Trainer.update

    def killed(trainer: Trainer) -> object:
        if trainer.step == 7:
            raise KeyboardInterrupt
        return update(trainer)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            resume(folder, quiet=True)
    resume(folder, quiet=True)
    ids, rows = history(folder)
    assert ids == [json.loads((folder / "wandb.json").read_text())["id"]] * 2
    assert [step for step, _ in rows] == list(range(9))
    logged = {row.step: row for row in read_log(folder)}
    for step, values in rows:
        for name, value in vars(logged[step]).items():
            if value is None:
                assert name not in values
            elif name not in ("step", "milliseconds", "tokens_per_second"):
                assert values[name] == pytest.approx(value)
    pages = {
        step: (next((folder / "wandb").glob(f"offline-run-*/files/{values['sample.path']}")))
        for step, values in rows
        if "sample.path" in values
    }
    texts = read_samples(folder)
    assert {step: page.read_text() for step, page in pages.items()} == {
        step: f"<pre>{tracker.html.escape(text)}</pre>" for step, text in texts.items()
    }


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_wandb_that_can_not_begin_is_one_line(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    import wandb

    def refused(**_: object) -> None:
        raise wandb.errors.UsageError("no API key\nconfigured")

    monkeypatch.setattr(wandb, "init", refused)
    with pytest.raises(UserError, match=r"^tracker = 'wandb': no API key configured; allowed: "):
        train(gpt_config.updated(train={"tracker": "wandb"}), "a", quiet=True)
    assert not Path("logs/a/wandb.json").exists()
