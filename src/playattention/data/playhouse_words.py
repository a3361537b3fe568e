"""The lexicon of the playhouse: names, words, sentence templates, rhymes, and how often each comes.

Plain constants, written for this project. A template is a sentence without its final mark. In it
    {slot}       is filled with a template of that kind or mixture, or by the grammar's SLOTS;
    <hast thou>  is a pronoun and its verb, in the order they are spoken; the sentence exists as
                 written and in the other form of address (<have you>).
Templates are in lower case; the grammar capitalises those that begin a line. Of the kinds that
compete for a place, no template's beginning, up to its first slot, may begin another's.

It does not know which place comes after which: that is the grammar, in playhouse_grammar.py.
"""

NAMES = ("Ambrose", "Beatrix", "Dulcie", "Edmund", "Hester", "Tobias")

# With initials of their own, which no name has: the first letter of a noun that comes back tells
# all of it.
THINGS = (
    "candle", "goose", "jug", "kettle", "lantern", "mirror", "oar", "pumpkin", "quill", "ribbon",
    "umbrella", "violin", "zither",
)  # fmt: skip

TOPICS = tuple(thing.capitalize() for thing in THINGS)  # as they are asked about

ADJECTIVES = (
    "ancient", "borrowed", "broken", "crooked", "enchanted", "famous", "golden", "haunted",
    "humble", "missing", "noble", "painted", "royal", "rusty", "secret", "velvet",
)  # fmt: skip

PERSONS = (
    "bishop", "captain", "duchess", "gardener", "hangman", "juggler", "knight", "miller",
    "pedlar", "sailor", "tailor", "widow",
)  # fmt: skip

LANDMARKS = (
    "abbey", "bridge", "chapel", "dovecote", "fountain", "harbour", "lighthouse", "orchard",
    "pantry", "stable", "tower", "willow",
)  # fmt: skip

PREPOSITIONS = ("above", "at", "behind", "below", "near", "under")

QUALITIES = (
    "bold", "cheerful", "clever", "faithful", "gloomy", "hollow", "hungry", "merry",
    "patient", "proud", "silent", "wise",
)  # fmt: skip

ENDEARMENTS = ("dear ", "good ", "my gentle ", "my noble ", "sweet ")

# What is said to you where thou wouldst hear the other.
YOU_FORM = {
    "thou": "you", "art": "are", "dancest": "dance", "didst": "did", "dost": "do",
    "fearest": "fear", "hast": "have", "keepest": "keep", "knowest": "know", "lovest": "love",
    "owest": "owe", "shalt": "shall", "singest": "sing", "thy": "your", "weepest": "weep",
    "wilt": "will",
}  # fmt: skip

RHYMES = (
    ("bell", "dell", "shell", "well"),
    ("beam", "dream", "gleam", "stream"),
    ("bone", "drone", "stone", "throne"),
    ("chain", "grain", "plain", "rain"),
    ("clown", "crown", "gown", "town"),
    ("gale", "tale", "vale", "whale"),
    ("king", "ring", "spring", "string"),
    ("fight", "light", "night", "sight"),
)

PLAYS = (
    "BORROWED GOOSE", "GOLDEN PUMPKIN", "HAUNTED KETTLE", "LAST CANDLE", "MERRY WIDOW",
    "PATIENT HANGMAN", "QUIET TRUMPET", "SILENT VIOLIN",
)  # fmt: skip

HOURS = ("at dawn", "at dusk", "at noon", "by moonlight", "in the rain", "in the snow")

TEMPLATES: dict[str, tuple[str, ...]] = {
    "noun": THINGS,
    "described noun": tuple(f"{adjective} {{noun}}" for adjective in ADJECTIVES),
    "noun's fate": tuple(f"{noun} {{fate}}" for noun in THINGS),
    "described noun's fate": tuple(f"{adjective} {{noun}} {{fate}}" for adjective in ADJECTIVES),
    "person's deed": tuple(f"{person} {{deed}}" for person in PERSONS),
    "person": PERSONS,
    "landmark": LANDMARKS,
    "quality": QUALITIES,
    "thy": ("<thy>",),
    "rhyme": tuple(word for family in RHYMES for word in family),
    "place": tuple(f"{preposition} the {{landmark}}" for preposition in PREPOSITIONS),
    "adverb": ("always ", "in truth ", "never ", "of late ", "seldom ", "surely ", "too often "),
    "verb": (  # what thou dost
        "<art> as {quality} as the {thing}",
        "<dancest> with the {person} {place}",
        "<fearest> the {thing} of the {person}",
        "<hast> the {thing} of the {person}",
        "<keepest> the {thing} {place}",
        "<knowest> the {person} and the {thing}",
        "<lovest> the {person} more than the {thing}",
        "<owest> the {person} the {thing}",
        "<shalt> wed the {person} {place}",
        "<singest> like the {thing} {place}",
        "<weepest> for the {thing} {place}",
        "<wilt> find the {thing} {place}",
    ),
    "fate": (  # what a thing does
        "lies {place}",
        "sleeps {place}",
        "waits {place}",
        "sings to the {person}",
        "frightens the {person}",
        "belongs to the {person}",
        "was made by the {person}",
        "was found {place}",
        "is as {quality} as the {person}",
        "is worth more than the {landmark}",
        "hath vanished from the {landmark}",
        "shall never leave the {landmark}",
    ),
    "deed": (  # what a person does
        "hides the {thing} {place}",
        "snores {place}",
        "weeps {place}",
        "dreams of the {thing}",
        "sold the {thing} to the {person}",
        "stole the {thing} from the {person}",
        "dances with the {person} {place}",
        "is as {quality} as the {thing}",
        "polishes the {thing}",
        "would wed the {person}",
    ),
    "clause": (
        "the {subject}",
        "<thou> {predicate}",
        "every {person} {deed}",
        "no {person} {deed}",
        "my {thing} {fate}",
    ),
    "statement": (
        "I dreamt of the {thing} {place}",
        "I found {thy} {thing} {place}",
        "I gave the {thing} to the {person}",
        "I met the {person} {place}",
        "I would trade {thy} {thing} for the {thing}",
        "I fear that {clause}",
        "they whisper that {clause}",
    ),
    "command": (
        "beware the {person} {place}",
        "bring the {thing} to the {person}",
        "fetch {thy} {thing} from the {landmark}",
        "hide the {thing} {place}",
        "let the {person} keep {thy} {thing}",
        "speak no more of the {thing}",
        "tell the {person} that {clause}",
    ),
    "where": (
        "where is the {topic}",
        "where <hast thou> left the {topic}",
        "where <didst thou> hide the {topic}",
        "where <wilt thou> carry the {topic}",
        "where doth the {person} keep the {topic}",
    ),
    "who": (
        "who stole the {topic}",
        "who hath hidden the {topic}",
        "who would wed the {person} for the {topic}",
        "who gave the {person} the {topic}",
    ),
    "why": (
        "why <dost thou> carry the {topic}",
        "why <hast thou> broken the {topic}",
        "why <art thou> afraid of the {topic}",
        "why doth the {person} kiss the {topic}",
    ),
    "whether": (
        "<hast thou> seen the {topic}",
        "<wilt thou> lend the {person} the {topic}",
        "did the {person} mend the {topic}",
        "is this the {topic}",
    ),
    "answer to where": (
        "the {reply} {fate}",
        "seek the {reply} {place}",
        "I left the {reply} {place}",
        "<thou shalt> find the {reply} {place}",
    ),
    "answer to who": (
        "the {reply} {fate}",
        "I took the {reply} myself",
        "nobody would touch the {reply}",
        "<thou hast> the {reply} to thank for it",
    ),
    "answer to why": (
        "the {reply} {fate}",
        "because the {reply} {fate}",
        "for love of the {reply}",
        "I promised the {reply} to the {person}",
    ),
    "answer to whether": (
        "ay, the {reply} {fate}",
        "nay, the {reply} {fate}",
        "<thou wilt> never see the {reply}",
        "I saw the {reply} {place}",
    ),
    "arrival": (
        "good morrow, friends, for {clause}",
        "I come from the {landmark}, where {clause}",
        "I have run from the {landmark} with the {thing}",
        "I bring the {thing} of the {person}",
        "make way for the {thing} of the {person}",
    ),
    "farewell": (
        "farewell, for the {subject}",
        "I must away to the {landmark}",
        "I go to find the {thing} {place}",
    ),
    "opener": (
        "alas, ",
        "by my beard, ",
        "hark, ",
        "in faith, ",
        "marry, ",
    ),
    "vocative": (
        "ah, {previous}, ",
        "good {previous}, ",
        "patience, {previous}, ",
        "peace, {previous}, ",
        "sweet {previous}, ",
    ),
    "continuation": (
        "and {clause}",
        "but {clause}",
        "for {clause}",
        "so {clause}",
        "though {clause}",
        "while {clause}",
        "yet {clause}",
    ),
    "silence": ("\n",),  # the blank line after a speech
    "title": (
        "THE COMEDY OF THE {play}\n\n",
        "THE HISTORY OF THE {play}\n\n",
        "THE TRAGEDY OF THE {play}\n\n",
    ),
    "play": PLAYS,
    "setting": ("SCENE. The {landmark}, {hour}.\n\n",),
    "hour": HOURS,
    "finis": ("FINIS\n\n",),
    "couplet": (
        "come, friends, and let us walk beyond the {rhyme}",
        "our tale is told, and quiet is the {rhyme}",
        "put out the lamps, and listen to the {rhyme}",
        "so ends our quarrel, gentle as the {rhyme}",
        "then let us sing together of the {rhyme}",
        "thus sleep comes down as softly as the {rhyme}",
    ),
    "couplet's end": (
        "and dream till morning comes to wake the {chime}",
        "and leave the world no wiser than the {chime}",
        "and may we meet tomorrow by the {chime}",
        "as every heart goes homeward to the {chime}",
        "for all our troubles end beside the {chime}",
        "for love is only borrowed, like the {chime}",
        "while silver moonlight falls upon the {chime}",
    ),
}

QUESTIONS = ("where", "who", "why", "whether")
MARKS = {"command": "!", **dict.fromkeys(QUESTIONS, "?")}

_LINE = {"clause": 0.05, "statement": 0.1, "command": 0.09, **dict.fromkeys(QUESTIONS, 0.15)}
_TURN = {**_LINE, "opener": 0.06, "vocative": 0.2, "couplet": 0.2}

# Kinds of template that compete for a place, and how often each is taken.
MIXTURES: dict[str, dict[str, float]] = {
    "thing": {"noun": 0.75, "described noun": 0.25},
    "subject": {"noun's fate": 0.4, "described noun's fate": 0.2, "person's deed": 0.4},
    "verb or adverb": {"verb": 0.65, "adverb": 0.35},
    "line": _LINE,
    "entrance": {**_LINE, "arrival": 0.4},
    "turn": _TURN,
    "crowded turn": {**_TURN, "farewell": 0.06},
    "silence or question": {"silence": 0.28, **dict.fromkeys(QUESTIONS, 0.18)},
    **{
        f"reply to {kind}": {f"answer to {kind}": 0.7, "opener": 0.1, "vocative": 0.2}
        for kind in QUESTIONS
    },
    "setting or finis": {"setting": 0.75, "finis": 0.25},
}
AFTER_OPENER = {f"reply to {kind}": f"answer to {kind}" for kind in QUESTIONS}
