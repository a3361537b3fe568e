"""Colours and letters of the drawings: those of the playground's page, for light and for dark.

The colours are read from the page's own style sheet, so that a query is the same blue in both. A
drawing shown by `<img>` can't be told the page's theme: its own style sheet asks what the reader's
system prefers. Knows no drawing.
"""

import re
from functools import cache
from importlib.resources import files

Colour = tuple[float, float, float]
"""Red, green and blue, 0 to 255."""

SANS = (
    "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Liberation Sans',Arial,sans-serif"
)
MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace"
LETTERS = {
    "h": f"600 17px {SANS}",  # heading of a drawing
    "b": f"600 13px {SANS}",  # heading inside it
    "t": f"13px {SANS}",  # text
    "s": f"12px {SANS}",  # small text, the smallest there is
    "m": f"12px {MONO}",  # numbers and names of the source
    "n": f"600 12px {MONO}",  # the same where it matters
}
"""Class of a text -> its font."""

WASH = 0.1
"""How much of its colour a wash has; the rest is what lies behind it."""
STEPS = {"diverging": 17, "weights": 13, "surprise": 13}
"""Scale -> how many of its colours are used; an odd number where the middle means zero."""
STOPS = {"diverging": 5, "weights": 4, "surprise": 4}
"""Scale -> how many of its colours stand in the page's style sheet."""


@cache
def palette() -> dict[str, tuple[str, str]]:
    """Return the colours of the page's style sheet: name -> its hex code in light and in dark."""
    sheet = files("playattention").joinpath("playground/page/style.css").read_text("utf-8")
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", sheet)
    return {name: (light, dark) for name, light, dark in found}


def rules(name: str) -> tuple[str, str]:
    """Return what a class means, in light and in dark, the same if it has no colour.

    Args:
        name: "t" and other LETTERS; "f-query" fills with a colour, "s-query" draws lines with it
            and fills nothing, "l-query" only draws lines, "w-query" is a wash of it;
            "diverging-3" is a shade of a scale, "diverging-3-t" what is written on it.
    """
    if name in LETTERS:
        return (f"font:{LETTERS[name]}",) * 2
    if shade := re.fullmatch(r"(diverging|weights|surprise)-(\d+)(-t)?", name):
        kind, step, written = shade[1], int(shade[2]), shade[3]
        codes = [ramp(kind, dark)[step] for dark in (False, True)]
        if written:
            codes = [_readable_on(code) for code in codes]
        return (f"fill:{codes[0]}", f"fill:{codes[1]}")
    kind, _, colour = name.partition("-")
    forms = {
        "f": "fill:{}",
        "s": "stroke:{};fill:none",
        "l": "stroke:{}",
        "w": f"fill:{{}};fill-opacity:{WASH}",
    }
    light, dark = palette()[colour]
    return forms[kind].format(light), forms[kind].format(dark)


def style_sheet(names: set[str]) -> str:
    """Return the style sheet of a drawing that uses these classes."""
    both = {name: rules(name) for name in sorted(names)}
    light = "".join(f".{name}{{{rule}}}" for name, (rule, _) in both.items())
    dark = "".join(f".{name}{{{rule}}}" for name, (day, rule) in both.items() if day != rule)
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


@cache
def ramp(kind: str, dark: bool) -> tuple[str, ...]:
    """Return the shades of a scale from its least to its greatest number.

    Between the page's colours they go through OKLab (Ottosson 2020), as the page's own do.
    """
    stops = [_oklab(_rgb(palette()[f"{kind}-{i}"][dark])) for i in range(STOPS[kind])]
    shades = []
    for step in range(STEPS[kind]):
        place = step * (len(stops) - 1) / (STEPS[kind] - 1)
        lower = min(int(place), len(stops) - 2)
        share = place - lower
        pairs = zip(stops[lower], stops[lower + 1], strict=True)
        red, green, blue = (a + (b - a) * share for a, b in pairs)
        shades.append(_hex(_from_oklab((red, green, blue))))
    return tuple(shades)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (high + 0.05) / (low + 0.05)


def washed(name: str, dark: bool) -> str:
    """Return what a wash of a colour looks like on a drawing's card."""
    pairs = zip(_rgb(palette()[name][dark]), _rgb(palette()["card"][dark]), strict=True)
    red, green, blue = (WASH * own + (1 - WASH) * behind for own, behind in pairs)
    return _hex((red, green, blue))


def _readable_on(code: str) -> str:
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, code))


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(code: str) -> Colour:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{max(0, min(255, round(part))):02x}" for part in colour)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _gamma(part: float) -> float:
    part = max(0.0, part)
    return part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055


def _oklab(colour: Colour) -> Colour:
    r, g, b = (_linear(part / 255) for part in colour)
    cone_l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    cone_m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    cone_s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * cone_l + 0.7936177850 * cone_m - 0.0040720468 * cone_s,
        1.9779984951 * cone_l - 2.4285922050 * cone_m + 0.4505937099 * cone_s,
        0.0259040371 * cone_l + 0.7827717662 * cone_m - 0.8086757660 * cone_s,
    )


def _from_oklab(colour: Colour) -> Colour:
    lightness, a, b = colour
    cone_l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    cone_m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    cone_s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        255 * _gamma(4.0767416621 * cone_l - 3.3077115913 * cone_m + 0.2309699292 * cone_s),
        255 * _gamma(-1.2684380046 * cone_l + 2.6097574011 * cone_m - 0.3413193965 * cone_s),
        255 * _gamma(-0.0041960863 * cone_l - 0.7034186147 * cone_m + 1.7076147010 * cone_s),
    )
