"""The page's settings, as the command line is told them."""

import pytest

from playattention.cli import _parse
from playattention.commands.train import train_default
from playattention.playground.settings import config_for, words_for
from playattention.training import RECIPES, recipe


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "train.steps": 7,
            "model.n_layer": 1,
            "train.schedule": "constant",
            "train.keep_every": None,
        },
        {"data.tokenizer": "gpt2", "model.dropout": 0.2, "train.seed": 5},
    ],
)
def test_the_command_line_reads_the_words_as_the_settings_they_came_from(recipe, settings):
    config = config_for(recipe, settings, threads=3)
    default = train_default(recipe, None, None)
    command = _parse(type(default), words_for(config), f"train {recipe}", default)
    # The vocabulary is the run's own to find out.
    sizes = {"vocab_size": command.config.model.vocab_size}
    assert command.config == config.updated(model=sizes)
    assert command.config.train.threads == 3
    for key, value in settings.items():
        part, name = key.split(".")
        assert getattr(getattr(command.config, part), name) == value


def test_a_recipe_with_muon_keeps_the_rates_that_suit_it():
    own, quick = recipe("modern").train, config_for("modern", {}, 1).train
    assert quick.optimizer == "muon"
    assert (quick.learning_rate, quick.min_learning_rate) == (
        own.learning_rate,
        own.min_learning_rate,
    )
    assert config_for("gpt", {}, 1).train.learning_rate != recipe("gpt").train.learning_rate


def test_a_training_of_the_page_shows_something_soon():
    config = config_for("gpt", {}, 1)
    assert config.data.dataset == "playhouse"
    assert config.train.eval_every <= 50
    assert config.tokens_per_step < 1000
