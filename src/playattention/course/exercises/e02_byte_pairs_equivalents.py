"""Other ways to write exercise 2, byte-pair encoding, that are just as right."""

EQUIVALENTS = (
    '''
def merge(ids, pair, new):
    out = []
    for one in ids:
        if out and (out[-1], one) == pair:
            out[-1] = new
        else:
            out.append(one)
    return out


def train(data, n_merges):
    ids, merges = [*data], []
    for n in range(n_merges):
        counts = {}
        for pair in zip(ids, ids[1:]):
            counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        pair = max(counts, key=counts.get)
        merges.append(pair)
        ids = merge(ids, pair, 256 + n)
    return merges


def encode(text, merges, special=()):
    """Every merge once, in rank order."""
    for n, one in enumerate(special):
        if one in text:
            before, _, after = text.partition(one)
            found = [256 + len(merges) + n]
            return encode(before, merges, special) + found + encode(after, merges, special)
    ids = list(text.encode())
    for n, pair in enumerate(merges):
        ids = merge(ids, pair, 256 + n)
    return ids


def decode(ids, merges, special=()):
    def spell(id_):
        if id_ < 256:
            return bytes((id_,))
        if id_ < 256 + len(merges):
            left, right = merges[id_ - 256]
            return spell(left) + spell(right)
        return special[id_ - 256 - len(merges)].encode()

    return bytes().join(map(spell, ids)).decode("utf-8", "replace")
''',
    """
import re
from collections import Counter


def merge(ids, pair, new):
    ids, place = list(ids), 0
    while place + 1 < len(ids):
        if ids[place] == pair[0] and ids[place + 1] == pair[1]:
            ids[place : place + 2] = [new]
        place += 1
    return ids


def train(data, n_merges):
    ids, merges = list(data), []
    while n_merges and len(ids) >= 2:
        (pair, _), = Counter(zip(ids, ids[1:])).most_common(1)
        ids = merge(ids, pair, 256 + len(merges))
        merges, n_merges = [*merges, pair], n_merges - 1
    return merges


def encode(text, merges, special=()):
    names = {one: 256 + len(merges) + n for n, one in enumerate(special)}
    ids, last = [], 0
    for found in re.finditer("|".join(map(re.escape, special)) or "(?!)", text):
        ids += ordinary(text[last : found.start()], merges) + [names[found.group()]]
        last = found.end()
    return ids + ordinary(text[last:], merges)


def ordinary(text, merges):
    ids = list(text.encode("utf8"))
    while True:
        ranks = [merges.index(p) if p in merges else len(merges) for p in zip(ids, ids[1:])]
        if not ranks or min(ranks) == len(merges):
            return ids
        place = ranks.index(min(ranks))
        ids[place : place + 2] = [256 + min(ranks)]


def decode(ids, merges, special=()):
    stack, out = list(ids)[::-1], bytearray()
    while stack:
        top = stack.pop()
        if top < 256:
            out.append(top)
        elif top - 256 < len(merges):
            stack.extend(reversed(merges[top - 256]))
        else:
            out.extend(special[top - 256 - len(merges)].encode())
    return out.decode(errors="replace")
""",
)
