"""The known mistakes of exercise 2, byte-pair encoding."""

from playattention.course.exercise import Mistake

READ = "docs/01-data-and-tokens.md#byte-pair-encoding"
SKIP = "place += 2"
TAKEN = "max(counts, key=counts.__getitem__)"
FIRST = "pair = min(known, key=rank.__getitem__)"
CUT = 're.split(f"({pattern})", text) if special else [text]'
DECODED = '.decode("utf-8", errors="replace")'
TRAINING = """    while len(merges) < n_merges and len(ids) > 1:
        counts = Counter(pairwise(ids))
        pair = max(counts, key=counts.__getitem__)  # the first of the most frequent ones
        ids = merge(ids, pair, 256 + len(merges))
        merges.append(pair)
    return merges
"""
NO_SECOND_COUNT = """    return [pair for pair, _ in Counter(pairwise(ids)).most_common(n_merges)]
"""

MISTAKES = (
    Mistake(
        '"aaa" merged wholesale',
        (
            (
                SKIP,
                "place += 2\n            while ids[place : place + 1] == [pair[0]] == [pair[1]]:\n                place += 1",
            ),
        ),
        "A merge makes one token of two. In aaa the first two become one, and the third stays; otherwise the text comes back shorter than it was.",
        READ,
    ),
    Mistake(
        "the second token stays",
        ((SKIP, "place += 1"),),
        "The new token stands for both. Go on two places further, or the second one is written again.",
        READ,
    ),
    Mistake(
        "the last token lost",
        (("while place < len(ids):", "while place < len(ids) - 1:"),),
        "The last token has no right neighbour, but it has to be kept where no pair took it up.",
        READ,
    ),
    Mistake(
        "pairs counted only once",
        ((TRAINING, NO_SECOND_COUNT),),
        "Each merge changes which tokens are neighbours. Count again after every merge; otherwise a new token never becomes part of another.",
        READ,
    ),
    Mistake(
        "of equal pairs the greater",
        ((TAKEN, "max(counts, key=lambda pair: (counts[pair], pair))"),),
        "Pairs that come equally often were decided by their ids, the greater first. Here it is the one that stands first: two tokenizers agree only if their rule for ties is the same.",
        READ,
    ),
    Mistake(
        "of equal pairs the smaller",
        ((TAKEN, "min(counts, key=lambda pair: (-counts[pair], pair))"),),
        "Pairs that come equally often were decided by their ids, the smaller first. Here it is the one that stands first: two tokenizers agree only if their rule for ties is the same.",
        READ,
    ),
    Mistake(
        "of equal pairs the last",
        ((TAKEN, "max(reversed(counts), key=counts.__getitem__)"),),
        "A later pair took the place of one that comes just as often (>= where > is meant). Here it is the one that stands first that wins.",
        READ,
    ),
    Mistake(
        "stops at pairs that come once",
        (("and len(ids) > 1:", "and len(set(pairwise(ids))) < len(ids) - 1:"),),
        "As many merges as asked for, also of pairs that come a single time: later ids depend on the number of merges.",
        READ,
    ),
    Mistake(
        "merged by frequency instead of rank",
        ((FIRST, "pair = max(known, key=known.count)"),),
        "Which pair is frequent in this text says nothing: the model has learned tokens that came from the order of training. Of the known pairs, join the one learned first.",
        READ,
    ),
    Mistake(
        "merged from the left instead of by rank",
        ((FIRST, "pair = known[0]"),),
        "The first known pair in the text was joined first. Of the known pairs, join the one learned first, wherever it stands.",
        READ,
    ),
    Mistake(
        "the last merge first",
        ((FIRST, "pair = max(known, key=rank.__getitem__)"),),
        "The pair learned last was joined first. It is the other way round: a low rank goes first, as in training.",
        READ,
    ),
    Mistake(
        "one merge only",
        (("while known :=", "if known :="),),
        "A single pair was joined. Go on until no known pair is left.",
        READ,
    ),
    Mistake(
        "special tokens split",
        ((CUT, "[text]"),),
        "A special token is one id, whatever its letters are: it says where a document ends. Cut the text around special tokens before anything is merged.",
        READ,
    ),
    Mistake(
        "special tokens read as a pattern",
        (("re.escape(one)", "one"),),
        "In a regular expression, | means 'or': <|end|> reads as '<' or 'end' or '>'. Escape it with re.escape.",
        READ,
    ),
    Mistake(
        "characters for bytes",
        (('list(part.encode("utf-8"))', "[ord(one) for one in part]"),),
        "ord() of a snowman is 9,731, which is no byte: ids from 256 on are merges. Begin with text.encode('utf-8').",
        READ,
    ),
    Mistake(
        "bytes decoded strictly",
        ((DECODED, '.decode("utf-8")'),),
        "A token may end in the middle of a character, and a model may write any tokens: decode must not fail on them. Say errors='replace'.",
        READ,
    ),
    Mistake(
        "broken bytes left out",
        ((DECODED, '.decode("utf-8", errors="ignore")'),),
        "What is no UTF-8 vanished without a trace. With errors='replace', a mark shows that something was there.",
        READ,
    ),
    Mistake(
        "each token decoded alone",
        (
            (
                'b"".join(bytes_of[id_] for id_ in ids).decode("utf-8", errors="replace")',
                '"".join(bytes_of[id_].decode("utf-8", errors="replace") for id_ in ids)',
            ),
        ),
        "A character of several bytes may lie across two tokens, and neither half is a character. Join the bytes first, then decode all of them.",
        READ,
    ),
)
