"""Images of sources that mean harm: none gets further than the function that fetches it."""

import time
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pytest_httpserver import HTTPServer

from newsletter.sources import thumbnails
from newsletter.sources.errors import SourceError
from newsletter.sources.thumbnails import fetch_thumbnail, make_thumbnail
from tests.helpers.hostile_servers import HostileServer, RawHandler, dribbling, endless, head, saying, silent
from tests.helpers.images import bomb, image, noise

from .conftest import AGENT, network

LOCAL = network(timeout_seconds=1, attempts=1).model_copy(update={"allow_private": ["127.0.0.1"]})
PNG = "Content-Type: image/png"


def read(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content), formats=("JPEG",))


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (image("PNG"), (320, 168)),
        (image("PNG", mode="RGBA"), (320, 168)),
        (image("PNG", mode="P", transparency=0), (320, 168)),
        (image("PNG", mode="I;16"), (320, 168)),
        (image("JPEG", mode="CMYK"), (320, 168)),
        (image("WEBP", size=(300, 900)), (107, 320)),
        (image("GIF", size=(64, 48), mode="P"), (64, 48)),
        (noise(), (320, 168)),
    ],
)
def test_every_image_becomes_a_small_jpeg(httpserver: HTTPServer, content: bytes, size: tuple[int, int]) -> None:
    httpserver.expect_request("/1").respond_with_data(content, content_type="image/x")
    made = fetch_thumbnail(httpserver.url_for("/1"), LOCAL, AGENT)
    assert (read(made).size, read(made).mode) == (size, "RGB")
    assert len(made) <= thumbnails.MAX_THUMBNAIL_BYTES
    assert httpserver.log[0][0].headers["User-Agent"] == AGENT


def test_what_is_transparent_becomes_white() -> None:
    made = read(make_thumbnail(image("PNG", mode="LA", size=(40, 40))))
    assert made.getpixel((1, 1)) == pytest.approx((255, 255, 255), abs=3)


def test_a_picture_taken_sideways_is_upright_and_says_nothing_of_its_origin() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Taken at home"
    made = make_thumbnail(image("JPEG", size=(300, 100), exif=exif.tobytes(), comment=b"from me"))
    assert read(made).size == (100, 300)
    assert not read(made).getexif()
    assert b"at home" not in made and b"from me" not in made


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (bomb(3_000, 3_000), "an image of 3,000 x 3,000 pixels; at most 8,000,000 fit"),
        (bomb(12_000, 12_000), "(144000000 pixels)"),
        (bomb(60_000, 60_000), "could be decompression bomb"),
        (bomb(100, 90), "not an image that can be read"),
        (image()[:-40], "not an image that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image that can be read"),
        (image("BMP"), "not an image that can be read"),
        (b"", "not an image that can be read"),
    ],
)
def test_a_damaged_or_overlarge_image_is_an_error(httpserver: HTTPServer, content: bytes, why: str) -> None:
    httpserver.expect_request("/1").respond_with_data(content, content_type="image/png")
    with pytest.raises(SourceError) as error:
        fetch_thumbnail(httpserver.url_for("/1"), LOCAL, AGENT)
    assert why in str(error.value)
    assert str(error.value).startswith(f"GET {httpserver.url_for('/1')}: ")


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_are_an_image_or_an_error(some: bytes, at: int) -> None:
    whole = image("GIF", size=(30, 20), mode="P")
    for content in (some, b"\x89PNG\r\n\x1a\n" + some, whole[:at] + some + whole[at + len(some) :]):
        try:
            made = make_thumbnail(content)
        except ValueError:
            continue
        assert max(read(made).size) <= 320


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (saying(image(), "Content-Type: text/html"), "not an image, but 'text/html'"),
        (saying(image()), "not an image, but 'no type'"),
        (saying(b"x" * 5_000_001, PNG), "the response is larger than 5 MB"),
        (endless, "the response is larger than 5 MB"),
        (saying(image()[:100], PNG), "not an image that can be read"),
        (lambda connection: connection.sendall(head(9_999, PNG) + image()[:50]), "the response ended after 50 bytes"),
        (silent, "no response within 1 s"),
        (dribbling(head(10_000_000, PNG)), "no complete response within 2 s"),
    ],
)
def test_a_server_that_means_harm(talk: RawHandler, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_WHOLE_SECONDS", 2.0)
    began = time.monotonic()
    with HostileServer(talk) as url, pytest.raises(SourceError) as error:
        fetch_thumbnail(url, LOCAL, AGENT)
    assert why in str(error.value)
    assert time.monotonic() - began < 6


def test_no_private_address_is_connected_to_whatever_a_redirect_says(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/1").respond_with_data(image(), content_type="image/png")
    with pytest.raises(SourceError, match=r"has the private address 127\.0\.0\.1"):
        fetch_thumbnail(httpserver.url_for("/1"), network(attempts=1), AGENT)
    assert httpserver.log == []
    other = "http://127.0.0.2:1/metadata"
    httpserver.expect_request("/2").respond_with_data("", status=302, headers={"Location": other})
    with pytest.raises(SourceError, match=r"127\.0\.0\.2 is a private address"):
        fetch_thumbnail(httpserver.url_for("/2"), LOCAL, AGENT)
    httpserver.expect_request("/3").respond_with_data("", status=302, headers={"Location": "file:///etc/passwd"})
    with pytest.raises(SourceError, match="redirected to a URL that is not http or https"):
        fetch_thumbnail(httpserver.url_for("/3"), LOCAL, AGENT)
