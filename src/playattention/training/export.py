"""A run as `transformers` reads it: its weights, its settings and its tokenizer, in one folder.

Does not import `transformers`, nor does it know the names of the weights: see
`models/pretrained.py`.
"""

import json
from pathlib import Path
from typing import Any

from playattention.errors import UserError
from playattention.models import pretrained
from playattention.models.model_gpt2 import GPT2Model
from playattention.tokenizers import CharTokenizer, GPT2Tokenizer, Tokenizer, gpt2_file
from playattention.training.folder import appearing, write_json
from playattention.training.run import Run

END_OF_TEXT = "<|endoftext|>"


def export(run: Run, folder: Path) -> None:
    """Write a run as `AutoModelForCausalLM` and `AutoTokenizer` load it; it appears whole.

    Args:
        run: A run of GPT-2.
        folder: Where it goes: a new folder, or an empty one.

    Raises:
        UserError: If the run is of another model, or the folder holds something or can't be
            written.
    """
    if not isinstance(run.model, GPT2Model):
        raise UserError(
            f"{run.path}: a run of {run.config.model.name}, whose model no other program knows; "
            "allowed: a run of gpt2"
        )
    place = folder.resolve()
    has_end = isinstance(run.tokenizer, GPT2Tokenizer)
    end_of_text = GPT2Tokenizer.end_of_text if has_end else None
    try:
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise UserError(f"{folder}: is not empty; allowed: a new folder, or an empty one")
        if place.exists():
            place.rmdir()  # some systems rename onto no folder, not even an empty one
        with appearing(place) as partial:
            pretrained.write(run.model, partial, end_of_text)
            if end_of_text is not None:
                ends = {"bos_token_id": end_of_text, "eos_token_id": end_of_text}
                write_json(partial / "generation_config.json", ends)
            write_tokenizer(run.tokenizer, partial, run.config.model.seq_size)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None


def write_tokenizer(tokenizer: Tokenizer, folder: Path, seq_size: int) -> None:
    """Write a tokenizer as `AutoTokenizer` loads it.

    Its ids are ours, but for one thing: theirs take "<|endoftext|>" in a text for the token.

    Args:
        tokenizer: Of characters, or GPT-2's.
        folder: Where its files go; it exists.
        seq_size: Most tokens that the model takes.
    """
    settings: dict[str, Any] = {
        "model_max_length": seq_size,
        "clean_up_tokenization_spaces": False,  # decoding changes nothing
    }
    if isinstance(tokenizer, CharTokenizer):
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        described = _characters(tokenizer)
    else:
        ends = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
        settings |= {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, **ends}
        vocabulary, merges = gpt2_file("encoder.json"), gpt2_file("vocab.bpe")
        (folder / "vocab.json").write_bytes(vocabulary)
        (folder / "merges.txt").write_bytes(merges)
        described = _byte_pairs(json.loads(vocabulary), merges.decode())
    write_json(folder / "tokenizer_config.json", settings)
    write_json(folder / "tokenizer.json", _pipeline(**described))


def _characters(tokenizer: CharTokenizer) -> dict[str, Any]:
    """Return a tokenizer of characters: every one is a word, and an unknown one an error."""
    return {
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": r"[\s\S]"},
            "behavior": "Isolated",
            "invert": False,
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "vocab": {each: id_ for id_, each in enumerate(tokenizer.characters)},
            "unk_token": "",  # not in the vocabulary
        },
    }


def _byte_pairs(vocabulary: dict[str, int], merges: str) -> dict[str, Any]:
    """Return GPT-2's tokenizer (Radford et al. 2019, section 2.2)."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    _, *pairs = merges.split("\n")  # the first line tells the version
    return {
        "added_tokens": [
            {
                "id": GPT2Tokenizer.end_of_text,
                "content": END_OF_TEXT,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ],
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocabulary,
            "merges": [pair for pair in pairs if pair],
        },
    }


def _pipeline(**parts: Any) -> dict[str, Any]:
    """Return the whole of a tokenizer.json, as the library `tokenizers` writes it."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        **parts,
    }
