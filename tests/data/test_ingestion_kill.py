"""kill -9 at any moment: what was finished stays, and the next run ends as if nothing had happened.

Real processes are killed: a fork at each of its writes, and whole commands with their workers.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.data.fineweb import DOCUMENTS, hashes, write_jsonl, write_parquet

forks = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")

OUT = Path("out")

AT_EACH_WRITE = """
import json, os, signal, sys
from pathlib import Path
from playattention.data import documents_json, documents_parquet, fineweb_edu
from playattention.data.workers import gpt2

documents_json.PIECE_BYTES = documents_parquet.PIECE_BYTES = 2000
gpt2()
import pyarrow.parquet

def life(number):
    # Let a child make shards that dies the first, second, ... time it is about to change a file.
    child = os.fork()
    if not child:
        done = 0
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        changes = {"os.mkdir", "os.rename", "os.remove"}
        def count(event, args):
            nonlocal done
            if event in changes or (event == "open" and isinstance(args[2], int)
                                    and args[2] & writing):
                done += 1
                if done == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        fineweb_edu.make(Path("out"), source=Path("src"), shard_tokens=700, workers=1, quiet=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return {
        "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
        "shards": len(list(Path("out").glob("[!.]*.tokens"))),
        "partial": len(list(Path("out").glob(".*.partial"))),
    }

for number in range(1, int(sys.argv[1]) + 1):
    print(json.dumps(life(number)))
print(json.dumps(life(-1)))
"""


def command(out: Path, *words: str) -> list[str]:
    """Return the command that makes shards on two processes."""
    options = ["--from", "src", "--out", str(out), "--shard-tokens", "60000", "--workers", "2"]
    return [sys.executable, "-m", "playattention", "data", "fineweb-edu", *options, *words]


@pytest.fixture
def source(own_folder: Path) -> Path:
    """About 600,000 tokens in three files: a second's work for two processes."""
    chance, letters = random.Random(0), "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(1, 9))) for _ in range(3000)]
    texts = [" ".join(chance.choices(words, k=400)) for _ in range(700)]
    write_parquet(own_folder / "src/a.parquet", texts[:300], rows_in_group=20)
    write_parquet(own_folder / "src/b.parquet", texts[300:600], rows_in_group=50)
    write_jsonl(own_folder / "src/c.jsonl", texts[600:])
    return own_folder / "src"


def run(out: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(command(out), capture_output=True, text=True, check=False)


def start(out: Path) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        command(out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(shards: int, process: subprocess.Popen[str], out: Path = OUT) -> list[psutil.Process]:
    """Wait until so many shards are finished; return the processes that work on more."""
    while len(hashes(out)) < shards:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    return psutil.Process(process.pid).children(recursive=True)


@forks
def test_a_kill_before_each_write_changes_nothing_in_the_end(own_folder: Path):
    """Each life comes one write further than the one before it, until one ends by itself."""
    from playattention.data import documents_json, documents_parquet, fineweb_edu

    source = own_folder / "src"
    write_parquet(source / "a.parquet", DOCUMENTS[:60])
    write_jsonl(source / "b.jsonl", DOCUMENTS[60:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents_json, "PIECE_BYTES", 2000)
        patch.setattr(documents_parquet, "PIECE_BYTES", 2000)
        whole = Path("whole")
        fineweb_edu.make(whole, source=source, shard_tokens=700, workers=1, quiet=True)

    lives = 12
    line = [sys.executable, "-W", "ignore", "-c", AT_EACH_WRITE, str(lives)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    told = [json.loads(life) for life in done.stdout.splitlines()]

    assert [life["killed"] for life in told] == [True] * lives + [False]
    shards = [life["shards"] for life in told]
    assert shards == sorted(shards)
    assert shards[0] == 0
    assert shards[-2] >= 4
    assert max(life["partial"] for life in told[:-1]) == 1
    assert told[-1]["partial"] == 0
    assert hashes(OUT) == hashes(whole)
    assert (OUT / "ingestion.json").read_bytes() == (whole / "ingestion.json").read_bytes()


@pytest.mark.slow
def test_commands_killed_at_random_moments_end_as_if_undisturbed(source: Path):
    """With their worker processes, which do not outlive them."""
    chance, whole = random.Random(1), Path("whole")
    assert run(whole).returncode == 0
    total = len(hashes(whole))
    for shards in (0, 1, 3, total // 2, total - 1):
        process = start(OUT)
        if shards == 0:
            while not psutil.Process(process.pid).children():
                time.sleep(0.01)
        workers = wait_for(shards, process)
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert alive == []
    done = run(OUT)
    assert (done.returncode, done.stderr) == (0, "")
    assert hashes(OUT) == hashes(whole)
    assert list(OUT.glob(".*.partial")) == []


@forks
@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_all_processes_and_says_how_to_go_on(source: Path):
    """It reaches the workers too, which must not tell their own story."""
    process = start(OUT)
    workers = wait_for(2, process)
    assert len(workers) >= 2
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    finished = len(hashes(OUT))
    assert told == (
        f"playattention: stopped; {finished} shards are finished in out, and the same command goes "
        "on from there\n"
    )
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert run(OUT).returncode == run(Path("whole")).returncode == 0
    assert hashes(OUT) == hashes(Path("whole"))


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_command_in_one_line(source: Path):
    """As the system does where memory runs out."""
    process = start(OUT)
    workers = [child for child in wait_for(1, process) if "spawn_main" in " ".join(child.cmdline())]
    workers[0].kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told.startswith("playattention: one of the processes that tokenize was killed, perhaps")
    assert told.count("\n") == 1
    assert run(OUT).returncode == run(Path("whole")).returncode == 0
    assert hashes(OUT) == hashes(Path("whole"))
