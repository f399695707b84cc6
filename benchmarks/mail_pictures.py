"""Pictures of digests as mail programs show them, with their heights. ``make mail-pictures``; it needs Chromium.

Each layout with 1, 10 and 30 sample papers, 375 and 700 pixels wide: light, dark, with a logo and thumbnails, with
these blocked, without styles (Gmail for a message that it clips, and its apps with accounts of other providers) and
without what Outlook's Word engine does not know (per caniemail).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from io import BytesIO
from itertools import product
from pathlib import Path

from PIL import Image, ImageOps

from benchmarks.rendering import SITE, links_of, subscriber
from benchmarks.results import parser
from newsletter.model import Digest, DigestItem, Layout, Paper
from newsletter.rendering.images import NO_IMAGES, Images, Picture, embedded, read_image
from newsletter.rendering.message import render_parts
from newsletter.rendering.screenshot import screenshot
from newsletter.rendering.template import Look, load_templates
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.sources.jsonl import read_lines

FOLDER = Path("var/bench/mail-pictures")
SIZES = (1, 10, 30)
WIDTHS = (375, 700)
AUTHORS = ("Ada Lovelace", "Grace Hopper", "Emmy Noether", "Sofia Kovalevskaya", "Maria Mitchell")
SECTIONS = ("Robot learning", "Multi-objective learning", "Trending")
REASONS = (
    "activation steering",
    "offline RL, constraint; like “Policy Regularization with Dataset Constraint”",
    "robot",
)


def digest(papers: int) -> Digest:
    """Return a digest of sample papers, in three sections."""
    read = [paper for paper in read_lines(SAMPLE_PAPERS.read_text(), "sample") if isinstance(paper, Paper)][:papers]
    choices = tuple(
        DigestItem(
            replace(
                paper,
                row=rank,
                authors=paper.authors or AUTHORS[: rank % 5 + 1],
                url=paper.url or f"https://arxiv.org/abs/2511.{rank:05}",
                pdf_url=paper.pdf_url or f"https://arxiv.org/pdf/2511.{rank:05}",
                code_url=paper.code_url or (f"https://github.com/example/{rank}" if rank % 3 == 1 else None),
                upvotes=paper.upvotes or 3 * rank,
                comments=paper.comments or rank % 4,
            ),
            rank,
            0.9 - rank / 50,
            SECTIONS[(rank - 1) * len(SECTIONS) // papers],
            REASONS[rank % len(REASONS)],
        )
        for rank, paper in enumerate(read, 1)
    )
    since = datetime(2025, 11, 27, 9, tzinfo=UTC)
    return Digest(edition=date(2025, 11, 28), choices=choices, considered=131, since=since, seen_row=1)


def page(layout: Layout, papers: int, images: Images) -> str:
    person = subscriber(1)
    person = replace(person, preferences=replace(person.preferences, name="Ada", layout=layout))
    look = Look(site_url=SITE.url, images=images)
    return render_parts(SITE, load_templates(None, look=look), person, digest(papers), links_of(1))[0]


def some_images() -> Images:
    """Return a logo, and a thumbnail for each paper."""
    logo, thumbnail = (drawn(size) for size in ((240, 48), (213, 120)))
    return Images(logo, lambda paper: thumbnail)


def drawn(size: tuple[int, int]) -> Picture:
    out = BytesIO()
    ImageOps.expand(Image.new("RGB", (size[0] - 8, size[1] - 8), "#7fa3d1"), 4, "#10213a").save(out, "PNG")
    return embedded(read_image(out.getvalue()))


def without_styles(html: str) -> str:
    return re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)


def without_images(html: str) -> str:
    return re.sub(r'(<img[^>]* src=")[^"]*', r"\1", html)


def as_word(html: str) -> str:
    """Remove what Outlook for Windows does not know, and use what is for it alone."""
    html = re.sub(r"<!--\[if !mso.*?<!\[endif\]-->", "", html, flags=re.DOTALL)
    html = re.sub(r"<!--\[if [^\]]*mso[^\]]*\]>(.*?)<!\[endif\]-->", r"\1", html, flags=re.DOTALL)
    html = re.sub(r"<xml>.*?</xml>|<div style=\"[^\"]*mso-hide:all[^\"]*\">.*?</div>", "", html, flags=re.DOTALL)
    html = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", html)
    html = re.sub(r"(?:border-radius|display|max-width|overflow-wrap|overflow):[^;\"]*;?", "", html)
    return re.sub(r"<(?!td)\w+[^>]*>", lambda tag: re.sub(r"(?<![\w-])padding:[^;\"]*;?", "", tag[0]), html)


VIEWS: dict[str, tuple[Callable[[str], str], bool, bool]] = {
    # How the HTML is changed, whether it is shown in dark mode, and whether it has images.
    "light": (str, False, False),
    "dark": (str, True, False),
    "images": (str, False, True),
    "blocked": (without_images, False, True),
    "no styles": (without_styles, False, False),
    "Word": (as_word, False, False),
}


def pictures() -> Iterator[str]:
    """Save the pictures, and yield a line with the heights of each digest."""
    for layout, papers in product(Layout, SIZES):
        plain, illustrated, heights = page(layout, papers, NO_IMAGES), page(layout, papers, some_images()), []
        for width, (view, (change, dark, images)) in product(WIDTHS, VIEWS.items()):
            taken = screenshot(change(illustrated if images else plain), width, dark)
            name = f"{layout}-{papers}-{width}-{view.replace(' ', '-').lower()}.png"
            (FOLDER / name).write_bytes(taken)
            # The height in the header of a PNG (ISO/IEC 15948, section 11.2.2).
            heights.append(int.from_bytes(taken[20:24], "big"))
        yield f"{layout:8}{papers:>7}{len(plain.encode()) / 1000:>6.0f} kB" + "".join(f"{one:>8,}" for one in heights)


def main() -> None:
    parser(__doc__).parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = [f"{width} {view}" for width in WIDTHS for view in VIEWS]
    print("layout   papers     size  height in pixels: " + ", ".join(names))
    for line in pictures():
        print(line, flush=True)
    print(f"Pictures: {FOLDER}")


if __name__ == "__main__":
    main()
