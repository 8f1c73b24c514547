"""The characters and fonts of the glyph source: their names, and which font has which character."""

# ruff: noqa: RUF001  (Greek letters that look like Latin ones are intended)

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib

GREEK_CAPITALS = {  # without those that look like a Latin capital
    "Gamma": "Γ",
    "Delta": "Δ",
    "Theta": "Θ",
    "Lambda": "Λ",
    "Xi": "Ξ",
    "Pi": "Π",
    "Sigma": "Σ",
    "Phi": "Φ",
    "Psi": "Ψ",
    "Omega": "Ω",
}
GREEK_SMALL = {  # without omicron, which looks like the Latin o
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "iota": "ι",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "nu": "ν",
    "xi": "ξ",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "upsilon": "υ",
    "phi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
}
SYMBOLS = {
    "exclamation mark": "!",
    "question mark": "?",
    "quotation mark": '"',
    "number sign": "#",
    "dollar": "$",
    "percent": "%",
    "ampersand": "&",
    "left parenthesis": "(",
    "right parenthesis": ")",
    "left bracket": "[",
    "right bracket": "]",
    "left brace": "{",
    "right brace": "}",
    "asterisk": "*",
    "plus": "+",
    "hyphen": "-",
    "equals": "=",
    "less than": "<",
    "greater than": ">",
    "comma": ",",
    "full stop": ".",
    "colon": ":",
    "semicolon": ";",
    "slash": "/",
    "backslash": "\\",
    "vertical bar": "|",
    "tilde": "~",
    "circumflex": "^",
    "at sign": "@",
    "section sign": "§",
    "euro": "€",
    "pound": "£",
    "infinity": "∞",
    "integral": "∫",
}
LATIN = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# The name of a digit or Latin letter is the character itself, so that names match those of sensitive categories.
ALPHABET: dict[str, str] = {**{character: character for character in LATIN}, **GREEK_CAPITALS, **GREEK_SMALL, **SYMBOLS}

FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmr10",
    "cmb10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
# Computer Modern has other shapes at many code points; its digits and Latin letters are at the usual ones.
LATIN_ONLY = frozenset(font for font in FONTS if font.startswith("cm"))


def font_path(font: str) -> Path:
    """The file of a font, one of FONTS, inside matplotlib."""
    return Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")


@cache
def fonts_of(character: str) -> tuple[int, ...]:
    """Indices into FONTS of the fonts that have the character."""
    return tuple(
        index
        for index, font in enumerate(FONTS)
        if ord(character) in _code_points(font) and (font not in LATIN_ONLY or character in LATIN)
    )


@cache
def _code_points(font: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font_path(font))).get_charmap())
