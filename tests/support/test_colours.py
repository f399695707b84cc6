"""Colours: contrast as WCAG computes it, and accents that can be read."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from newsletter.rendering.palette import palette, style_sheet
from newsletter.support.colours import contrast, full_hex, mix

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"), [("#000", "#fff", 21), ("#777777", "#ffffff", 4.48), ("#1a5", "#1a5", 1)]
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.005)


@given(COLOURS, COLOURS, st.floats(0, 1))
def test_a_mixture_is_between_its_colours(one: str, other: str, share: float) -> None:
    channels = [bytes.fromhex(colour[1:]) for colour in (one, other, mix(one, other, share))]
    assert all(min(a, b) <= mixed <= max(a, b) for a, b, mixed in zip(*channels, strict=True))
    assert mix(one, other, 1) == one
    assert mix(one, other, 0) == other


@pytest.mark.parametrize("text", ["", "blue", "#12", "#12345", "#1234567", "1a56b0", "#xyzxyz", "#1a56b0;"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a colour"):
        full_hex(text)


@given(COLOURS)
def test_every_accent_that_is_accepted_can_be_read_in_light_and_dark_mode(accent: str) -> None:
    assume(contrast(accent, "#ffffff") >= 5)
    colours = palette(accent)
    assert colours.light["link"] == accent
    for mode in (colours.light, colours.dark):
        for text, background in (
            *(("ink", one) for one in ("page", "card", "note")),
            *(("sub", one) for one in ("page", "card", "note")),
            *(("link", one) for one in ("page", "card")),
            *(("good", one) for one in ("card", "note")),
            ("act_ink", "act"),
            ("bad_ink", "bad"),
        ):
            assert contrast(mode[text], mode[background]) >= 4.5, (text, background)


def test_pages_have_the_same_colours_as_emails() -> None:
    light, dark = style_sheet("#b00020").split("@media (prefers-color-scheme: dark)")
    assert "--link: #b00020;" in light
    assert f"--link: {palette('#b00020').dark['link']};" in dark
    assert "--act-ink: #ffffff;" in light
