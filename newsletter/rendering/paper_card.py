"""Paper cards: what a message shows of a paper, the same for every subscriber, and so rendered once an edition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup

from newsletter.highlights.classifier import highlights
from newsletter.highlights.sentences import sentences
from newsletter.highlights.standalone import LONGEST
from newsletter.model import Paper
from newsletter.rendering.images import Picture
from newsletter.rendering.plain_text import latex_to_text, readable, shorten
from newsletter.rendering.template import Templates, render
from newsletter.support.text import to_single_line

_AUTHORS_NAMED = 3
_LONGEST_TITLE = 300
_LONGEST_CATEGORY = 40
_LONGEST_SUMMARY = 600


class Labelled(NamedTuple):
    """A text with its label, such as "Idea" or "Summary by Hugging Face"."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A paper as templates use it.

    Attributes:
        title, byline: in one line each. ``url``: the link of the title, None for no link.
        sentences: the highlights of the abstract, complete sentences; empty if the summary is shown instead of them.
        summary: the source's own summary. ``summary_label``: "Summary by Hugging Face".
        lines: what is shown of the text, each with its label: the sentences ("Idea", "Result"), or else the summary.
        thumbnail: a small image, None without one.
        about, links: title, byline and sentences, and the links, as HTML. ``about_text``, ``links_text``: as text.
    """

    title: str
    url: str | None
    byline: str
    sentences: tuple[str, ...]
    summary: str
    summary_label: str
    lines: tuple[Labelled, ...]
    thumbnail: Picture | None
    about: Markup
    links: Markup
    about_text: str
    links_text: str


def paper_card(templates: Templates, paper: Paper, thumbnail: bool = True) -> Card:
    """Return the card of a paper, rendered on first use; ``thumbnail``: with its thumbnail, if there is one."""
    if not paper.row:
        return _rendered(templates, paper, thumbnail)  # Not stored, so it has no key for the cache.
    key = (paper.row, paper.title, thumbnail)
    if key not in templates.cards:
        templates.cards[key] = _rendered(templates, paper, thumbnail)
    found: Card = templates.cards[key]
    return found


def _rendered(templates: Templates, paper: Paper, thumbnail: bool) -> Card:
    find = templates.images.thumbnail if thumbnail else None
    picture = find(paper) if find is not None else None
    url, links, by = _web(paper.url) or _web(paper.pdf_url), tuple(paper_links(paper)), byline(paper)
    title, summary, label = display_title(paper), summary_of(paper), summary_label(paper)
    found = [] if summary and templates.source_summaries else labelled_sentences(paper)
    chosen = tuple(one.text for one in found)
    lines = tuple(found) or ((Labelled(label, summary),) if summary else ())
    said = {
        "title": title,
        "byline": by,
        "sentences": chosen,
        "summary": summary,
        "summary_label": label,
        "lines": lines,
        "thumbnail": picture,
    }
    values = {"paper": {**said, "url": url, "links": links}}
    about, links_shown = (render(part, values).strip() for part in (templates.about, templates.links))
    return Card(
        title=title,
        url=url,
        byline=by,
        sentences=chosen,
        summary=summary,
        summary_label=label,
        lines=lines,
        thumbnail=picture,
        about=Markup(about),  # noqa: S704 - escaped by the template
        links=Markup(links_shown),  # noqa: S704 - likewise
        about_text=render(templates.about_text, values).strip(),
        links_text=render(templates.links_text, values).strip(),
    )


def display_title(paper: Paper) -> str:
    """Format a paper's title for display: LaTeX as Unicode, and very long titles shortened."""
    return _shown(paper.title)


@lru_cache(maxsize=4096)
def _shown(title: str) -> str:
    # Cached, since the first titles of a digest also appear in its subject and preheader.
    return shorten(readable(title), _LONGEST_TITLE)


def labelled_sentences(paper: Paper) -> list[Labelled]:
    """Return the sentences of a paper's abstract that state its idea and its result; empty if it has no sentence."""
    found = highlights(readable(paper.abstract))
    # A text without sentence ends would fill the email, so it is shortened between words; others are not.
    named = (("Idea", found.idea), ("Result", found.result))
    return [Labelled(label, shorten(sentence, LONGEST)) for label, sentence in named if sentence]


def sentences_of(paper: Paper) -> tuple[str, ...]:
    """Return the sentences of a paper's abstract that state its idea and its result, without labels."""
    return tuple(one.text for one in labelled_sentences(paper))


def summary_label(paper: Paper) -> str:
    """Return the label of the source's own summary: "Summary by Hugging Face"."""
    by = to_single_line(paper.summary_by or "")
    return f"Summary by {by}" if by else "Summary from the source"


def summary_of(paper: Paper) -> str:
    """Return the first sentences of the source's own summary, as far as space allows; empty without one."""
    shown = ""
    for sentence in sentences(" ".join(readable(paper.summary or "").split())):
        if shown and len(shown + sentence) > _LONGEST_SUMMARY:
            break
        shown += sentence
    return shorten(shown.rstrip(), LONGEST)


def byline(paper: Paper) -> str:
    """Format the authors, date and categories of a paper: "Ada Lovelace and 3 more · 11 March 2025 · cs.LG"."""
    day = paper.published or paper.listed_on
    named = [category for category in paper.categories if len(category) <= _LONGEST_CATEGORY]
    parts = [_writers(paper), f"{day.day} {day:%B %Y}" if day else "", ", ".join(named[:3])]
    return " · ".join(part for part in parts if part)


def _writers(paper: Paper) -> str:
    if paper.authors:
        more = max(len(paper.authors), paper.author_count or 0) - _AUTHORS_NAMED
        named = ", ".join(map(latex_to_text, paper.authors[:_AUTHORS_NAMED]))
        people = f"{named} and {more} more" if more > 0 else named
        return f"{people} ({paper.organization})" if paper.organization else people
    if paper.organization:
        return paper.organization
    if paper.author_count:
        return f"{paper.author_count} author{'' if paper.author_count == 1 else 's'}"
    return ""


def paper_links(paper: Paper) -> Sequence[Mapping[str, str]]:
    """Return the links of a paper, each with a ``name`` and a safe ``url``."""
    stars = f" ({paper.code_stars:,} stars)" if paper.code_stars else ""
    named = (
        ("Abstract", paper.url),
        ("PDF", paper.pdf_url),
        (f"Code{stars}", paper.code_url),
        ("Project", paper.project_url),
    )
    return [{"name": name, "url": url} for name, link in named if (url := _web(link))]


def _web(url: str | None) -> str | None:
    """Return a URL if it is safe to follow. Sources return only such, but other programs may write to the store."""
    return url if url and url.startswith(("https://", "http://")) else None
