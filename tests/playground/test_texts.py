"""Texts to begin with, and texts to measure heads on."""

import shutil
from pathlib import Path

import pytest

from playattention.data import load_corpus, playhouse
from playattention.errors import UserError
from playattention.playground import texts
from playattention.playground.opened import LOGS, Shelf, opened, playhouse_tokenizer
from playattention.training.start import import_run
from tests.conftest import TEXT, released
from tests.playground.conftest import found


def test_a_run_begins_with_what_it_did_not_train_on(client, home, run):
    held_back = TEXT[int(len(TEXT) * 0.9) :]
    examples = found(client.get("/api/examples", params={"run": run}))["texts"]
    assert 1 <= len(examples) <= 4
    for example in examples:
        assert example["text"] in held_back
        assert len(example["text"]) <= 16
        assert "\n" not in example["title"]
    assert len({example["text"] for example in examples}) == len(examples)


def test_an_example_begins_a_line_and_ends_a_word(client):
    for example in found(client.get("/api/examples", params={"run": "untrained:gpt"}))["texts"]:
        text = example["text"]
        assert 0 < len(text) <= 48
        unseen = playhouse.write(40_000, texts.UNSEEN)
        place = unseen.index(text)
        assert unseen[place - 1] == "\n"
        assert unseen[place + len(text)].isspace()


def test_every_example_can_be_looked_at(client):
    for name in ("small-gpt", "small-gpt2", "untrained:gpt", "untrained:gpt2", "untrained:modern"):
        for example in found(client.get("/api/examples", params={"run": name}))["texts"]:
            params = {"run": name, "text": example["text"]}
            assert client.get("/api/look", params=params).status_code == 200


def test_weights_without_a_text_begin_with_english(own_folder):
    import_run(str(released(own_folder / "released", vocab_size=50_257)), "imported")
    run = opened(Shelf().find("imported"), 0)
    written = [example.text for example in texts.examples(run)]
    assert written == [*texts.ENGLISH]
    with pytest.raises(UserError, match="no text at hand"):
        texts.windows_of(run)


@pytest.fixture
def moved(home, own_folder):
    """A run whose text is no longer there."""
    shutil.copytree(home / "logs" / "small-gpt", own_folder / "logs" / "mine")
    path = own_folder / "logs" / "mine" / "config.json"
    path.write_text(path.read_text().replace(str(home / "text.txt"), "gone.txt"))
    return opened(Shelf().find("mine"), 4)


def test_without_its_text_a_run_begins_with_what_it_wrote(moved):
    assert texts.examples(moved)
    told, ids = texts._held_back(moved, 10)
    assert told == "what the run wrote itself"
    samples = (LOGS / "mine" / "generated_samples.txt").read_text()
    assert moved.tokenizer.decode(ids)[:5] in samples


def test_tiny_shakespeare_is_not_downloaded_for_an_example(moved, monkeypatch):
    def refused(*_):
        raise AssertionError("was to be downloaded")

    monkeypatch.setattr("playattention.data.tinyshakespeare.download", refused)
    config = moved.config.updated(data={"dataset": "tinyshakespeare"})
    run = type(moved)(moved.name, moved.path, config, moved.tokenizer, moved.model, 4)
    assert texts.examples(run)
    assert texts._held_back(run, 10)[0] == "what the run wrote itself"


def test_heads_are_measured_on_plays_where_the_rules_act():
    run = opened(Shelf().find("untrained:gpt"), 0)
    told, windows = texts.windows_of(run)
    assert told == "plays of the playhouse, unseen"
    assert {len(window.ids) for window in windows} == {64}
    assert sum(len(window.deeds) for window in windows) > 100


def test_the_plays_are_none_that_a_run_trains_on():
    unseen = playhouse.write(2000, texts.UNSEEN)
    assert unseen[:300] not in playhouse.write(200_000)


def test_the_untrained_model_knows_all_letters_of_the_plays():
    tokenizer = load_corpus("playhouse").tokenizer("char")
    assert tokenizer.state() == playhouse_tokenizer().state()


def test_shards_give_what_they_hold_back(own_folder, moved):
    from playattention.data import text_shards

    Path("words.txt").write_text(TEXT * 3, encoding="utf-8")
    folder = text_shards.write(load_corpus("words.txt"), "char", Path("shards"), 1000)
    config = moved.config.updated(data={"dataset": str(folder.folder)})
    run = type(moved)(moved.name, moved.path, config, folder.tokenizer("char"), moved.model, 4)
    told, ids = texts._held_back(run, 50)
    assert told == "held back of shards"
    assert len(ids) == 50
    assert run.tokenizer.decode(ids) in TEXT * 3
