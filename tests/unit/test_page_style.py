"""WCAG 2.1: text has a contrast of 4.5 or more with what it stands on, marks 3 or more, in the light and the dark scheme."""

import re
from pathlib import Path

import pytest

from decoupled_qc import report

STYLE = Path(report.__file__).with_name("style.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--(\w+): (#\w+);", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)


def luminance(colour):
    """Relative luminance of an sRGB colour, WCAG 2.1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "panel"])
@pytest.mark.parametrize("colour", ["text", "soft", "link", "pass", "review", "fail", "error"])
def test_text_can_be_read(scheme, ground, colour):
    assert contrast(scheme[colour], scheme[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("mark, ground", [("median", "box"), ("median", "paper"), ("fail", "paper"), ("soft", "paper")])
def test_marks_of_the_strips_can_be_seen(scheme, mark, ground):
    assert contrast(scheme[mark], scheme[ground]) >= 3
