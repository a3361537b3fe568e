"""What a run leaves for people: log.csv, plots, samples, lines."""

import csv
import io
import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import matplotlib.image
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from playattention.config import RunConfig
from playattention.training import checkpoint
from playattention.training.loop import TrainingStoppedError, resume, train
from playattention.training.optimizer import learning_rate
from playattention.training.report import Report, Row, draw_plots, read_log, read_samples
from playattention.training.run import create_run
from tests.training.conftest import log_rows, outcome

FOLDER = Path()

ROWS = [
    Row(0, eval_train_loss=3.25, eval_val_loss=3.5, eval_val_standard_error=0.1),
    Row(1, 1 / 3, None, None, None, 1e-3, 0.5, 2.0, 32109.0),
    Row(2, 3.0, 2.9, 3.1, 0.1, 5e-4, 0.25, 1.5, 43210.0),
]


def write(rows: list[Row], samples: dict[int, str], step: int | None = None) -> None:
    """Let a report write what a run tells it."""
    with Report(FOLDER, 10, step, None, quiet=True) as report:
        for row in rows:
            report.add(row)
        for at, text in samples.items():
            report.add_sample(at, text)


def test_a_whole_run_leaves_the_files_that_the_documentation_names(gpt_config: RunConfig):
    folder = train(gpt_config)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "config.json",
        "corpus.json",
        "generated_samples.txt",
        "log.csv",
        "losses.png",
        "machine.json",
        "tokenizer.json",
        "training_metrics_summary.png",
    ]
    assert sorted(path.name for path in checkpoint.folder_of(folder, 4).iterdir()) == [
        "model.safetensors",
        "state.json",
        "training.safetensors",
    ]


# log.csv


def test_a_run_logs_every_step_and_each_evaluation(config: RunConfig, no_plots: None):
    folder = train(config)
    with (folder / "log.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == [
        "step",
        "train_loss",
        "eval_train_loss",
        "eval_val_loss",
        "eval_val_standard_error",
        "learning_rate",
        "gradient_norm",
        "milliseconds",
        "tokens_per_second",
    ]
    assert [int(row["step"]) for row in rows] == list(range(21))
    evaluated = [int(row["step"]) for row in rows if row["eval_val_loss"]]
    assert evaluated == [0, 5, 10, 15, 20]
    for row in rows[1:]:
        rate = learning_rate(int(row["step"]) - 1, 20, config.train)
        assert float(row["learning_rate"]) == rate
        seconds = float(row["milliseconds"]) / 1000
        assert float(row["tokens_per_second"]) == pytest.approx(64 / seconds)
    assert [name for name, value in rows[0].items() if value] == [
        "step",
        "eval_train_loss",
        "eval_val_loss",
        "eval_val_standard_error",
    ]


def test_what_is_logged_is_read_back_to_the_last_bit():
    write(ROWS, {})
    assert read_log(FOLDER) == ROWS


def test_a_row_is_on_the_disk_as_soon_as_it_is_added():
    with Report(FOLDER, 10, None, None, quiet=True) as report:
        report.add(ROWS[1])
        assert read_log(FOLDER) == [ROWS[1]]


@pytest.mark.parametrize(("step", "kept"), [(None, []), (0, [0]), (1, [0, 1]), (9, [0, 1, 2])])
def test_going_on_drops_what_was_written_of_later_steps(step: int | None, kept: list[int]):
    """Without a checkpoint (None), step 0 is done again too."""
    texts = {0: "first", 2: "second"}
    write(ROWS, texts)
    write([], {}, step)
    assert [row.step for row in read_log(FOLDER)] == kept
    assert read_samples(FOLDER) == {at: text for at, text in texts.items() if at in kept}


@pytest.mark.parametrize("name", ["log.csv", "generated_samples.txt"])
def test_a_kill_while_a_file_is_written_anew_leaves_the_old_one(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    """Going on from step 0 drops most of it, but only once the rest is on the disk."""
    write(ROWS, {0: "first", 2: "second"})
    before = Path(name).read_bytes()
    replace = Path.replace

    def killed(partial: Path, target: Path) -> None:
        if target.name == name:
            raise KeyboardInterrupt
        replace(partial, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write([], {}, 0)
    assert Path(name).read_bytes() == before


def test_a_log_cut_at_any_byte_is_read_up_to_its_last_whole_row():
    """A row whose last number lost digits must not be taken for a whole one."""
    write(ROWS, {})
    whole = Path("log.csv").read_bytes()
    ends = [match.end() for match in re.finditer(b"\r\n", whole)][1:]
    for size in range(len(whole)):
        Path("log.csv").write_bytes(whole[:size])
        assert read_log(FOLDER) == ROWS[: sum(end <= size for end in ends)]


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xfe\x00[1,2]\n\xff\n", b"step\n1\n", b"a,b\n\n\n", b"\n3,,,,,,,,x\n"]
)
def test_a_log_that_is_none_gives_no_rows(damage: bytes):
    Path("log.csv").write_bytes(damage)
    assert read_log(FOLDER) == []


# generated_samples.txt


@given(st.dictionaries(st.integers(0, 999), st.text(), max_size=4))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
@example({0: "", 5: "\n", 7: "a\r\nb\rc\u2028d", 8: "\n\n\n", 9: "==== step"})
def test_samples_are_read_back_as_they_were_written(texts: dict[int, str]):
    """Also their line ends, which a text file on Windows has in pairs."""
    Path("generated_samples.txt").unlink(missing_ok=True)
    write([], texts)
    assert read_samples(FOLDER) == texts
    write([], {}, 1000)
    assert read_samples(FOLDER) == texts


def test_samples_cut_at_any_byte_are_read():
    """A kill or a full disk may cut one in the middle of a character."""
    write([], {0: "aé\n", 12: "ü€"})
    whole = Path("generated_samples.txt").read_bytes()
    for size in range(len(whole)):
        Path("generated_samples.txt").write_bytes(whole[:size])
        assert set(read_samples(FOLDER)) <= {0, 12}


def test_a_run_on_a_text_with_windows_line_ends_resumes_to_the_same_samples(
    gpt_config: RunConfig, no_plots: None, press_ctrl_c
):
    path = Path(gpt_config.data.dataset)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n" * 9))
    config = gpt_config.updated(train={"sample_tokens": 50})
    undisturbed = outcome(train(config, "undisturbed"))
    assert b"\r" in undisturbed["samples"]
    folder = create_run(config, "stopped")
    press_ctrl_c(2)
    with pytest.raises(TrainingStoppedError):
        resume(folder)
    resume(folder)
    assert outcome(folder) == undisturbed


def test_a_sample_is_written_at_each_evaluation_and_repeats_with_the_seed(
    gpt_config: RunConfig, no_plots: None
):
    one, same = train(gpt_config), train(gpt_config)
    assert list(read_samples(one)) == [0, 2, 4]
    assert all(len(text) == 5 for text in read_samples(one).values())
    assert read_samples(one) == read_samples(same)


# Plots


@pytest.mark.parametrize("floor", [None, 1.5])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_plots_are_drawn_of_few_rows_too(count: int, floor: float | None):
    """A run that has just begun has a row, or none; a warning would fail here."""
    draw_plots(FOLDER, ROWS[:count], floor)
    for name, height, width in (
        ("losses.png", 540, 960),
        ("training_metrics_summary.png", 720, 1200),
    ):
        assert matplotlib.image.imread(name).shape[:2] == (height, width)


def test_the_floor_is_a_line_in_the_loss_plot():
    """Drawn across the whole plot, black: nothing else is."""
    longest = []
    for floor in (None, 3.2):
        draw_plots(FOLDER, ROWS, floor)
        black = (matplotlib.image.imread("losses.png")[..., :3] < 0.1).all(axis=-1)
        inside = black[60:-70, 80:-20]
        longest.append(inside.sum(axis=1).max())
    assert longest[1] > longest[0] + 300


def test_a_run_may_be_called_as_its_folder_may_be(gpt_config: RunConfig):
    """A dollar opens a formula in a plot's title, which must be taken as it is."""
    folder = Path(r"$\frac$")
    folder.mkdir()
    draw_plots(folder, ROWS, None)
    assert matplotlib.image.imread(folder / "losses.png").any()


# Lines


class Terminal(io.StringIO):
    """What Python takes for a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_run_prints_plain_lines(gpt_config: RunConfig, no_plots, capsys):
    train(gpt_config)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for line, step in zip(lines, (0, 2, 4), strict=True):
        number = r"\d\.\d{4}"
        assert re.fullmatch(rf"step {step:>6}  train {number}  val {number} ± {number}", line)


def test_in_a_terminal_a_run_shows_how_far_it_is(
    gpt_config: RunConfig, no_plots, monkeypatch: pytest.MonkeyPatch
):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    train(gpt_config)
    assert "step 4/4" in terminal.getvalue()
    assert "tokens/s" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()


def test_the_floor_stands_beside_the_losses(capsys):
    with Report(FOLDER, 10, None, 1.23456) as report:
        report.add(ROWS[2])
    assert capsys.readouterr().out == (
        "step      2  train 2.9000  val 3.1000 ± 0.1000  (floor 1.2346)\n"
    )


def test_a_quiet_run_says_nothing(gpt_config: RunConfig, no_plots, capsys):
    train(gpt_config, quiet=True)
    assert capsys.readouterr() == ("", "")


def test_what_is_said_is_taken_as_it_is(capsys):
    """Square brackets and colons are no style and no pictures."""
    with Report(FOLDER, 10, None, None) as report:
        report.say("[bold]logs[/] :smile: " + "x" * 200)
    assert capsys.readouterr().out == "[bold]logs[/] :smile: " + "x" * 200 + "\n"


def test_rows_of_the_log_are_the_rows_that_were_plotted(gpt_config: RunConfig, monkeypatch):
    """The last plot shows the whole run, also where it began in an earlier process."""
    from playattention.training import report

    plotted = []
    monkeypatch.setattr(report, "draw_plots", lambda _, rows, __: plotted.append([*rows]))
    folder = train(gpt_config)
    resume(folder)
    for rows in (plotted[-1], plotted[-2]):
        assert [asdict(row) for row in rows] == [asdict(row) for row in read_log(folder)]
    assert len(log_rows(folder)) == len(plotted[-1]) == 5


# The progress bar.


def shown(monkeypatch: pytest.MonkeyPatch, told: str, step: int = 12_345) -> str:
    """Return the last state of the bar in a terminal of 80 columns, without its colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    meter = SimpleNamespace(told=lambda: told)
    with Report(FOLDER, 19_073, None, None, meter=meter) as report:
        report.add(Row(step, 10.234, None, None, None, 1e-3, 0.5, 2.0, 1_234_567.0))
        report._progress.refresh()
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.getvalue())
    return next(line for line in re.split(r"[\r\n]+", plain) if f"{step:,}/" in line)


def test_the_bar_shows_the_devices_memory_and_utilisation(monkeypatch: pytest.MonkeyPatch):
    line = shown(monkeypatch, "61.3/79.6 GiB 97%")
    assert "12,345/19,073" in line
    assert "loss 10.234  1,234,567 tokens/s" in line
    assert "61.3/79.6 GiB 97%" in line
    assert len(line.rstrip()) <= 80


def test_without_a_reading_the_bar_shows_the_steps_alone(monkeypatch: pytest.MonkeyPatch):
    assert "loss 10.234" in shown(monkeypatch, "")
    assert "GiB" not in shown(monkeypatch, "")


@pytest.mark.parametrize("quiet", [False, True])
def test_the_device_is_not_read_where_no_bar_is_seen(quiet: bool):
    readings: list[str] = []
    meter = SimpleNamespace(told=lambda: readings.append("read") or "")
    with Report(FOLDER, 10, None, None, quiet=quiet, meter=meter) as report:
        report.add(ROWS[1])
    assert readings == []
