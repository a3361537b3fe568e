"""The playhouse's grammar: how a play is made of scenes, speeches, sentences and words.

It does not know whether its pen writes or reads, nor which words there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from playattention.data import playhouse_words as words
from playattention.data.playhouse_choices import (
    FIRST_ENTRANTS,
    Template,
    company,
    endings,
    evenly,
    templates,
    topics,
)
from playattention.data.playhouse_pens import Extent, Pen


class Word(NamedTuple):
    """A word that decides a later one, and where it stands."""

    text: str
    extent: Extent


@dataclass
class Scene:
    """What the grammar remembers while a scene runs."""

    on_stage: dict[str, Extent] = field(default_factory=dict)  # where their entrance names them
    speaker: str = ""
    previous: str = ""  # who spoke before the speaker, if still on stage
    arrived: bool = True  # whether the speaker has just entered
    hailed: bool = False  # whether this speech began by naming the previous speaker
    addressed: Word | None = None  # the name that ended the last speech
    question: str = ""  # the kind of question that ended the last speech
    cue: Word = field(default=Word("", (0, 0)))  # what an answer or a second line takes up
    form: str = ""  # of address in this speech: "thou", "you", or "" while undecided
    agreeing: Extent | None = None  # the pronoun (or verb) whose verb (or pronoun) is yet to come


def sentence(pen: Pen, scene: Scene, mixture: str, capital: bool = False) -> Template:
    """Write one template of a mixture and fill its slots."""
    template = pen.choose(templates(mixture, scene.form, capital))
    begin = pen.position - len(template.lead)
    scene.form = template.form or scene.form
    for start, end in template.agreeing:
        word = begin + start, begin + end
        if scene.agreeing:
            pen.note("agreement", scene.agreeing, word)
        scene.agreeing = None if scene.agreeing else word
    for slot, literal in template.slots:
        if slot in SLOTS:
            SLOTS[slot](pen, scene)
        else:
            sentence(pen, scene, slot)
        pen.write(literal)
    return template


def write_predicate(pen: Pen, scene: Scene) -> None:
    """Write what thou dost: a verb, with or without an adverb before it."""
    if sentence(pen, scene, "verb or adverb").kind == "adverb":
        sentence(pen, scene, "verb")


def hail_previous(pen: Pen, scene: Scene) -> None:
    """Hail the one who spoke before."""
    pen.write(scene.previous)
    scene.hailed = True


def ask_about(pen: Pen, scene: Scene) -> None:
    """Write the noun of a question, with marks by which it can be found again."""
    pen.write("*")
    word = pen.choose(topics(scene.cue.text))
    scene.cue = Word(word, pen.behind(word))
    pen.write("*")


def take_up_cue(pen: Pen, scene: Scene) -> None:
    """Bring back the noun of the question."""
    pen.write(f"*{scene.cue.text}")
    pen.note("question", scene.cue.extent, pen.behind(scene.cue.text))
    pen.write("*")


def set_rhyme(pen: Pen, scene: Scene) -> None:
    """Write a word that the next line rhymes with."""
    word = sentence(pen, scene, "rhyme").lead
    scene.cue = Word(word, pen.behind(word))


def rhyme_with_cue(pen: Pen, scene: Scene) -> None:
    """Write a word that rhymes with that of the first line, and is another."""
    family = next(family for family in words.RHYMES if scene.cue.text in family)
    word = pen.choose(evenly(tuple(word for word in family if word != scene.cue.text)))
    pen.note("couplet", scene.cue.extent, pen.behind(word))


SLOTS: dict[str, Callable[[Pen, Scene], None]] = {  # all other slots are mixtures
    "predicate": write_predicate,
    "previous": hail_previous,
    "topic": ask_about,
    "reply": take_up_cue,
    "rhyme": set_rhyme,
    "chime": rhyme_with_cue,
}


def close_bracket(pen: Pen, opened: int) -> None:
    """End the stage direction that was opened at a position."""
    pen.write("]")
    pen.note("bracket", (opened, opened + 1), pen.behind("]"))
    pen.write("\n\n")


def leave(pen: Pen, direction: str) -> None:
    """Write the direction by which one or all leave the stage."""
    opened = pen.position
    pen.write(f"[{direction}")
    close_bracket(pen, opened)


def enter(pen: Pen, scene: Scene) -> str:
    """Name someone who was not on stage, and is now."""
    name = pen.choose(evenly(tuple(name for name in words.NAMES if name not in scene.on_stage)))
    scene.on_stage[name] = pen.behind(name)
    return name


def partner(pen: Pen, scene: Scene, asides: tuple[str, ...] = ()) -> str:
    """Name someone else on stage, or write an aside and return ""."""
    others = tuple(sorted(name for name in scene.on_stage if name != scene.speaker))
    return pen.choose(company(others, scene.previous, asides))


def end_sentence(pen: Pen, scene: Scene, kind: str) -> None:
    """End a sentence, and with it the speech unless another line follows."""
    mark = words.MARKS.get(kind, ".")
    scene.question = kind if mark == "?" else ""
    last = mark == "?" or kind == "continuation"
    ending = pen.choose(endings(mark, last, scene.hailed))
    if ending == "name":
        name = partner(pen, scene, words.ENDEARMENTS) or partner(pen, scene)
        scene.addressed = Word(name, pen.behind(name))
        pen.write(f"{mark}\n\n")
    elif ending == "comma":
        sentence(pen, scene, "continuation", capital=True)
        end_sentence(pen, scene, "continuation")
    elif ending == "mark":
        following = sentence(pen, scene, "silence or question", capital=True).kind
        if following != "silence":
            end_sentence(pen, scene, following)


def situation(scene: Scene) -> str:
    """The mixture with which a speech begins."""
    if scene.question:
        return f"reply to {scene.question}"
    if scene.arrived:
        return "entrance"
    if not scene.previous:
        return "line"
    return "crowded turn" if len(scene.on_stage) > 2 else "turn"


def speech(pen: Pen, scene: Scene) -> bool:
    """Write what the speaker says; return whether the scene goes on after it."""
    opening = situation(scene)
    scene.form, scene.hailed, scene.addressed, scene.question = "", False, None, ""
    kind = sentence(pen, scene, opening, capital=True).kind
    if kind in ("opener", "vocative"):
        kind = sentence(pen, scene, words.AFTER_OPENER.get(opening, "line")).kind
    if kind == "couplet":
        pen.write(",\n")
        sentence(pen, scene, "couplet's end", capital=True)
        pen.write(".\n\n")
        leave(pen, "Exeunt")
        return False
    if kind == "farewell":
        pen.write(".\n\n")
        leave(pen, f"Exit {scene.speaker}")
        del scene.on_stage[scene.speaker]
    else:
        end_sentence(pen, scene, kind)
    return True


def take_floor(pen: Pen, scene: Scene, name: str) -> None:
    """Make a name that was just written the heading of a speech."""
    pen.note("stage", scene.on_stage[name], pen.behind(name))
    pen.write(":\n")
    scene.previous = scene.speaker if scene.speaker in scene.on_stage else ""
    scene.speaker = name


def pass_floor(pen: Pen, scene: Scene) -> None:
    """Give the word to the one addressed, else to another on stage or to one who enters."""
    scene.arrived = False
    if scene.addressed:
        name = scene.addressed.text
        pen.write(name)
        pen.note("address", scene.addressed.extent, pen.behind(name))
    else:
        may_enter = not scene.question and len(scene.on_stage) < 4
        name = partner(pen, scene, ("[Enter ",) if may_enter else ())
    if not name:
        opened = pen.position - len("[Enter ")
        name = enter(pen, scene)
        close_bracket(pen, opened)
        pen.write(name)
        scene.arrived = True
    take_floor(pen, scene, name)


def raise_curtain(pen: Pen, scene: Scene) -> None:
    """Bring two or three on stage, and let one of them begin."""
    opened = pen.position
    pen.write("[Enter ")
    enter(pen, scene)
    if pen.choose(FIRST_ENTRANTS) == 3:
        enter(pen, scene)
        pen.write(" and ")
    enter(pen, scene)
    close_bracket(pen, opened)
    take_floor(pen, scene, pen.choose(evenly(tuple(sorted(scene.on_stage)))))


def play(pen: Pen) -> None:
    """Write one play: a title, and scenes that each end on a couplet."""
    sentence(pen, Scene(), "title")
    following = sentence(pen, Scene(), "setting").kind
    while following == "setting":
        scene = Scene()
        raise_curtain(pen, scene)
        while speech(pen, scene):
            pass_floor(pen, scene)
        following = sentence(pen, scene, "setting or finis").kind
