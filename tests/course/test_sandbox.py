"""Whatever a learner's file does: a message in time that names the line, and nothing is harmed."""

import os
import re
import time
from pathlib import Path

import psutil
import pytest

from playattention.course import exercise, sandbox
from playattention.course.folder import Folder
from playattention.course.outcome import Outcome
from playattention.course.outline import Outline
from playattention.course.sandbox import PATIENCE, CancelledError, Child, check
from playattention.errors import UserError

NAME = "causal_mask"
HEAD = "def causal_softmax(scores):\n"

HOSTILE = {
    # Name: (file, what is told, the line that is named).
    "loops for ever": (HEAD + "    while True:\n        pass\n", "not done after", (2, 3)),
    "loops while it is read": ("n = 0\nwhile True:\n    n += 1\n", "not done after", (2, 3)),
    "exit": (HEAD + "    exit()\n", "ends the program", (2,)),
    "sys.exit at the top": ("import sys\nsys.exit(0)\n", "ends the program", (2,)),
    "os._exit": ("import os\n" + HEAD + "    os._exit(0)\n", "ends the program", (3,)),
    "prints without end": (
        HEAD + "    while True:\n        print('hello')\n",
        "prints without end",
        (3,),
    ),
    "asks for 100 GB": (
        f"import torch\n{HEAD}    return torch.zeros(100 * 2**30, dtype=torch.uint8)\n",
        "more memory than a check may take (107 GB at once)",
        (3,),
    ),
    "grows for ever": (
        HEAD + "    kept = []\n    while True:\n        kept.append(bytearray(10**8))\n",
        "",  # that it takes too much memory, or, on a busy machine, too long
        (4,),
    ),
    "removes by absolute path": ("import os\nos.remove('{victim}')\n", "wants to remove", (2,)),
    "overwrites by absolute path": (
        HEAD + "    open('{victim}', 'w').write('x')\n",
        "wants to write to",
        (2,),
    ),
    "removes a tree": (
        "import shutil\n" + HEAD + "    shutil.rmtree('{folder}', ignore_errors=True)\n",
        "wants to remove",
        (3,),
    ),
    "renames": ("import os\nos.rename('{victim}', 'mine')\n", "wants to rename", (2,)),
    "crash": (
        f"import ctypes\n{HEAD}    return ctypes.string_at(0)\n",
        "reached for memory that is not there",
        (3,),
    ),
    "starts a program": (
        "import subprocess\n" + HEAD + "    subprocess.run(['ls'])\n",
        "wants to start another program",
        (3,),
    ),
    "forks": ("import os\n" + HEAD + "    os.fork()\n", "wants to start another process", (3,)),
    "starts a process": (
        "import multiprocessing as m\n"
        + HEAD
        + "    m.get_context('spawn').Process(target=print).start()\n",
        "wants to start another process",
        (3,),
    ),
    "kills": (
        "import os\n" + HEAD + "    os.kill(os.getppid(), 9)\n",
        "wants to end a process",
        (3,),
    ),
    "uses the network": (
        "import socket\n" + HEAD + "    socket.create_connection(('127.0.0.1', 9))\n",
        "wants to use the network",
        (3,),
    ),
}


def checked(folder: Folder, mask: Outline, source: str | bytes) -> Outcome:
    """Return what comes of a file, and make sure that the file is as it was."""
    folder.path.mkdir(exist_ok=True)
    path = folder.file(mask)
    content = source.encode() if isinstance(source, str) else source
    path.write_bytes(content)
    outcome = check(NAME, path, content)
    assert path.read_bytes() == content
    return outcome


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_a_message_in_time(name: str, folder: Folder, mask: Outline):
    source, told, lines = HOSTILE[name]
    victim = Path("mine").absolute() / "victim.txt"
    victim.parent.mkdir()
    victim.write_text("precious")
    source = source.replace("{victim}", str(victim)).replace("{folder}", str(victim.parent))
    child = Child()
    assert child._ready.wait(PATIENCE)  # however long torch takes on a busy machine
    folder.path.mkdir()
    (folder.path / "beside.txt").write_text("mine, too")
    folder.file(mask).write_text(source)
    began = time.monotonic()
    outcome = child.check(NAME, folder.file(mask), source.encode())
    busy = os.getloadavg()[0] > (os.cpu_count() or 1) if os.name != "nt" else False
    assert time.monotonic() - began < (60 if busy else 10)
    assert not outcome.passed
    text = outcome.message.text
    assert told in " ".join(text.split())
    assert "Traceback" not in text
    assert not lines or re.search(
        rf"e06_causal_mask.py, line ({'|'.join(map(str, lines))})\b", text
    )
    assert victim.read_text() == "precious"
    assert (folder.path / "beside.txt").read_text() == "mine, too"
    assert folder.file(mask).read_text() == source
    assert not psutil.pid_exists(child._process.pid)
    assert not Path(child._notes.name).exists()


def test_what_prints_past_python_is_stopped_too(folder: Folder, mask: Outline):
    source = f"import os\n{HEAD}    while True:\n        os.write(1, b'x' * 10**6)\n"
    outcome = checked(folder, mask, source)
    assert "prints without end" in outcome.message.observed
    assert len(outcome.printed) < 300_000


def test_files_beside_are_seen_and_removed_in_a_copy_alone(
    folder: Folder, mask: Outline, solution: str
):
    folder.path.mkdir()
    (folder.path / "mine.py").write_text("NUMBER = 3\n")
    before = "import os\nimport mine\nassert mine.NUMBER == 3\nfor one in os.listdir():\n"
    outcome = checked(folder, mask, before + "    os.remove(one)\n" + solution)
    assert outcome.passed
    assert (folder.path / "mine.py").exists()


def test_a_right_file_passes_and_its_prints_do_not_disturb(
    folder: Folder, mask: Outline, solution: str
):
    outcome = checked(folder, mask, "print('hello', flush=True)\n" + solution)
    assert (outcome.passed, outcome.message) == (True, None)
    assert outcome.held == outcome.of == len(exercise(NAME).probes)


def test_a_temporary_file_is_written_in_the_copy(folder: Folder, mask: Outline, solution: str):
    before = "import tempfile\nwith tempfile.NamedTemporaryFile() as file:\n    file.write(b'x')\n"
    assert checked(folder, mask, before + solution).passed


def test_what_a_file_prints_while_it_fails_is_told(folder: Folder, mask: Outline):
    outcome = checked(folder, mask, HEAD + "    print('in', scores.shape)\n    return scores[0]\n")
    assert outcome.printed == "in torch.Size([2, 3, 4, 4])\n"


def test_a_known_mistake_is_named_with_both_tensors(folder: Folder, mask: Outline, solution: str):
    outcome = checked(folder, mask, solution.replace("tril(Tk - Tq)", "tril()"))
    assert outcome.mistake == "aligned at the top left"
    assert outcome.message.cause.startswith("Aligned at the top left. ")
    assert outcome.got["shape"] == outcome.wanted["shape"] == [3, 2, 5]
    place = outcome.place
    assert outcome.got["index"] == place[:1]
    values = [one["values"][place[1]][place[2]] for one in (outcome.got, outcome.wanted)]
    assert values[0] == 1
    assert abs(values[1] - 0.0257659) < 1e-6


def test_what_a_file_does_to_torch_does_not_reach_the_measure(
    folder: Folder, mask: Outline, solution: str
):
    """The right answers are computed before the file is loaded."""
    wrong = solution + "\n\ntorch.Tensor.softmax = lambda self, dim: self * 0 + 1\n"
    assert not checked(folder, mask, wrong).passed


def test_other_encodings_and_line_ends_are_read(folder: Folder, mask: Outline, solution: str):
    for source in (
        solution.encode("utf-8-sig"),
        solution.replace("\n", "\r\n").encode(),
        b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + solution.encode(),
    ):
        assert checked(folder, mask, source).passed


def test_a_check_that_is_no_longer_wanted_ends_at_once(folder: Folder, mask: Outline):
    folder.path.mkdir()
    source = (HEAD + "    while True:\n        pass\n").encode()
    folder.file(mask).write_bytes(source)
    child = Child()
    assert child._ready.wait(PATIENCE)
    asked = iter([False] * 10)
    began = time.monotonic()
    with pytest.raises(CancelledError):
        child.check(NAME, folder.file(mask), source, lambda: next(asked, True))
    assert time.monotonic() - began < 3
    assert not psutil.pid_exists(child._process.pid)


def test_a_second_check_does_not_wait_for_more_than_torch(
    folder: Folder, mask: Outline, solution: str
):
    """A process that waits with torch at hand answers within a second."""
    folder.path.mkdir()
    folder.file(mask).write_text(solution)
    child = Child()
    assert child._ready.wait(PATIENCE)
    assert child.check(NAME, folder.file(mask), solution.encode()).seconds < 1


def test_a_process_that_nobody_uses_ends_with_its_parent():
    child = Child()
    assert child._ready.wait(PATIENCE)
    child._process.stdin.close()
    assert child._process.wait(10) == 0
    child.end()


def test_the_environment_of_python_does_not_reach_a_check(
    folder: Folder, mask: Outline, solution: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONSTARTUP", "nothing.py")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    before = "import os\nassert not [name for name in os.environ if name.startswith('PYTHON')]\n"
    threads = "import torch\nassert torch.get_num_threads() == 1\n"
    assert checked(folder, mask, before + threads + solution).passed
    assert os.environ["PYTHONSTARTUP"] == "nothing.py"


def test_a_process_that_can_not_start_is_told(
    folder: Folder, mask: Outline, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sandbox.sys, "path", [])
    with pytest.raises(UserError, match=r"did not start: ModuleNotFoundError"):
        checked(folder, mask, "")
