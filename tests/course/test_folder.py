"""The learner's folder: nothing of theirs is overwritten, and progress survives their edits."""

from pathlib import Path

import pytest

from playattention.course import EXERCISES, exercise
from playattention.course.folder import Folder
from playattention.course.outline import Outline, meant
from playattention.course.progress import HEAD, Done, Progress, fingerprint, read, write
from playattention.course.state import listing
from playattention.errors import UserError

NAMES = list(EXERCISES)


def test_start_puts_the_stub_there_and_remembers_it(folder: Folder, mask: Outline):
    assert folder.start(mask)
    assert folder.file(mask).read_text() == exercise(mask.name).stub
    assert folder.chosen() == mask
    assert folder.state(mask) == "started"


def test_start_never_overwrites(folder: Folder, mask: Outline):
    folder.start(mask)
    folder.file(mask).write_text("mine")
    assert not folder.start(mask)
    assert folder.file(mask).read_text() == "mine"


def test_reset_keeps_a_numbered_backup_each_time(folder: Folder, mask: Outline):
    folder.start(mask)
    for number in (1, 2):
        folder.file(mask).write_text(f"mine {number}")
        folder.note(mask, passed="0" * 8, hints=2)
        backup = folder.reset(mask)
        assert backup.name == f"e06_causal_mask.backup{number}.py"
    assert [path.read_text() for path in sorted(folder.path.glob("*.backup*"))] == [
        "mine 1",
        "mine 2",
    ]
    assert folder.file(mask).read_text() == exercise(mask.name).stub
    assert folder.progress().of(mask.name) == Done(started=True)


def test_reset_of_what_was_not_started_says_how_to_start(folder: Folder, mask: Outline):
    with pytest.raises(UserError, match="playattention learn start causal_mask puts it there"):
        folder.reset(mask)


def test_a_pass_belongs_to_what_the_file_held(folder: Folder, mask: Outline):
    folder.start(mask)
    folder.note(mask, passed=fingerprint(folder.read(mask)))
    assert folder.state(mask) == "passed"
    before = folder.file(mask).read_bytes()
    folder.file(mask).write_bytes(before.replace(b"\n", b"\r\n"))
    assert folder.state(mask) == "passed"  # an editor's line ends are no change
    folder.file(mask).write_bytes(before + b"# more\n")
    assert folder.state(mask) == "changed since it passed"


def test_a_file_that_is_gone_is_not_started(folder: Folder, mask: Outline):
    folder.start(mask)
    folder.note(mask, passed="")
    folder.file(mask).unlink()
    assert folder.state(mask) == "not started"


def test_progress_is_read_as_it_was_written(own_folder: Path):
    path = Path("progress.txt")
    done = {"causal_mask": Done(True, "3f2a9c1d", 2, True, ("it was hard",))}
    progress = Progress(done, "causal_mask", ("a line of mine",))
    write(path, progress, NAMES)
    assert read(path, NAMES) == progress
    assert path.read_text().startswith(HEAD)
    write(path, read(path, NAMES), NAMES)
    assert read(path, NAMES) == progress


@pytest.mark.parametrize(
    ("text", "done", "last"),
    [
        ("", Done(), None),
        ("causal_mask: passed\n", Done(True, ""), None),
        ("Causal_Mask :  PASSED 3F2A9C1D ,hint 3\r\n", Done(True, "3f2a9c1d", 3), None),
        ("causal_mask:\n", Done(True), None),
        ("causal_mask: hints many, , started\n", Done(True, rest=("hints many",)), None),
        ("last: causal_mask\n", Done(), "causal_mask"),
        ("last: nothing\nnonsense\n: : :\n\n", Done(), None),
        ("causal_mask passed", Done(), None),
    ],
)
def test_progress_survives_hand_edits(text: str, done: Done, last: str | None, own_folder: Path):
    Path("progress.txt").write_text(text, newline="")
    found = read(Path("progress.txt"), NAMES)
    assert (found.of("causal_mask"), found.last) == (done, last)


def test_lines_that_are_not_understood_are_kept(folder: Folder, mask: Outline):
    folder.path.mkdir()
    (folder.path / "progress.txt").write_text("my note\ncausal_mask: started, hard\nother: 3\n")
    folder.note(mask, hints=1)
    lines = (folder.path / "progress.txt").read_text().splitlines()
    assert lines[-3:] == ["causal_mask: started, hints 1, hard", "my note", "other: 3"]


def test_progress_that_is_no_text_is_no_end(folder: Folder, mask: Outline):
    folder.path.mkdir()
    (folder.path / "progress.txt").write_bytes(bytes(range(256)))
    assert folder.state(mask) == "not started"
    folder.note(mask, hints=1)
    assert folder.progress().of(mask.name).hints == 1


def test_a_folder_that_can_not_be_written_is_told(folder: Folder, mask: Outline):
    folder.path.write_text("a file in the way")
    with pytest.raises(UserError, match=r"exercises/e06_causal_mask.py: cannot be written \(.*\)"):
        folder.start(mask)


@pytest.mark.parametrize(
    "word",
    [
        "6",
        "06",
        "causal_mask",
        "e06_causal_mask",
        "e06_causal_mask.py",
        "exercises/e06_causal_mask.py",
    ],
)
def test_an_exercise_is_known_by_number_name_and_file(word: str, mask: Outline):
    assert meant(word) == mask


def test_the_listing_tells_how_each_stands(folder: Folder, mask: Outline):
    (one,) = [one for one in listing(folder) if one["name"] == "causal_mask"]
    assert (one["number"], one["title"]) == (6, "The causal mask")
    assert (one["state"], one["file"], one["verdict"]) == ("not started", None, None)
    folder.start(mask)
    source = folder.read(mask)
    folder.keep(mask, source, {"passed": False, "message": {"observed": "x"}})
    (one,) = [one for one in listing(folder) if one["name"] == "causal_mask"]
    assert (one["state"], one["file"]) == ("started", "exercises/e06_causal_mask.py")
    assert one["last"]
    assert one["verdict"] == {"passed": False, "message": {"observed": "x"}, "current": True}
    folder.file(mask).write_text("changed")
    (one,) = [one for one in listing(folder) if one["name"] == "causal_mask"]
    assert one["verdict"]["current"] is False


def test_a_damaged_record_of_a_check_is_none(folder: Folder, mask: Outline):
    folder.start(mask)
    folder.keep(mask, b"", {"passed": True})
    (folder.path / ".checked" / "causal_mask.json").write_text("[1")
    assert next(one for one in listing(folder) if one["name"] == "causal_mask")["verdict"] is None
