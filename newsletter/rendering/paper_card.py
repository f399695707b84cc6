"""Paper cards: what a message shows of a paper, the same for every subscriber, and so rendered once an edition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from newsletter.highlights.classifier import highlights
from newsletter.highlights.sentences import sentences
from newsletter.highlights.standalone import LONGEST
from newsletter.model import Paper
from newsletter.rendering.images import Picture
from newsletter.rendering.plain_text import latex_to_text, readable, shorten
from newsletter.rendering.template import Templates, hanging, render
from newsletter.support.text import to_single_line

_AUTHORS_NAMED = 3
_LONGEST_TITLE = 300
_LONGEST_CATEGORY = 40
_LONGEST_SUMMARY = 600


class Labelled(NamedTuple):
    """A text with its label, such as "Idea" or "Summary by Hugging Face"."""

    label: str
    text: str


class FormerCard:
    """Names of a card that templates of former versions use."""

    title: str
    byline: str
    lines: "tuple[Labelled, ...]"
    title_html: Markup
    lines_html: Markup
    links_html: Markup
    text_title: str
    text_lines: str
    text_links: str

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The texts of the lines."""
        return tuple(line.text for line in self.lines)

    @cached_property
    def about(self) -> Markup:
        """The title, byline and lines as HTML."""
        heading = Markup('<h3 class="ink" dir="auto">{}</h3>\n<p class="sub" dir="auto">{}</p>\n')
        return heading.format(self.title_html, self.byline) + self.lines_html

    @property
    def links(self) -> Markup:
        """The links as HTML."""
        return self.links_html

    @cached_property
    def about_text(self) -> str:
        """The title, byline and lines as text, indented by three from the second line."""
        return hanging("\n\n".join(filter(None, (self.text_title, self.text_lines))), 3)

    @cached_property
    def links_text(self) -> str:
        """The links as text, indented likewise."""
        return hanging(self.text_links, 3)


@dataclass(frozen=True)
class Card(FormerCard):
    """A paper as templates use it.

    Attributes:
        title, byline, authors: in one line each; the byline has the authors, date and categories.
        label: "Retracted" or "Withdrawn" for such a paper, otherwise empty.
        url: the link of the title, None for no link.
        summary: the source's own summary. ``summary_label``: "Summary by Hugging Face".
        lines: what is shown of the text, each with its label: the highlights ("Idea", "Result"), or else the summary.
        votes: upvotes and comments in words; empty without any.
        thumbnail: a small image, None without one.
        words: the number of words of title and lines. ``title_words``: that of the title.
        title_html, lines_html, links_html: the linked title, the lines and the links. ``text_title``, ``text_lines``,
            ``text_links``: title and byline, the lines, and the links as text.
    """

    title: str
    label: str
    url: str | None
    byline: str
    authors: str
    summary: str
    summary_label: str
    lines: tuple[Labelled, ...]
    votes: str
    thumbnail: Picture | None
    words: int
    title_words: int
    title_html: Markup
    lines_html: Markup
    links_html: Markup
    text_title: str
    text_lines: str
    text_links: str


def paper_card(templates: Templates, paper: Paper) -> Card:
    """Return the card of a paper, rendered on first use."""
    if not paper.row:
        return _rendered(templates, paper)  # Not stored, so it has no key for the cache.
    key = (paper.row, f"{status_label(paper)} {paper.title}")
    if key not in templates.cards:
        templates.cards[key] = _rendered(templates, paper)
    found: Card = templates.cards[key]
    return found


def _rendered(templates: Templates, paper: Paper) -> Card:
    find_thumbnail = templates.look.images.thumbnail
    title, summary, label = display_title(paper), summary_of(paper), summary_label(paper)
    found = [] if summary and templates.look.source_summaries else labelled_sentences(paper)
    lines = tuple(found) or ((Labelled(label, summary),) if summary else ())
    shown: dict[str, Any] = {
        "title": title,
        "label": status_label(paper),
        "url": _web(paper.url) or _web(paper.pdf_url) or page_url(templates.look.site_url, paper),
        "byline": byline(paper),
        "authors": _writers(paper),
        "summary": summary,
        "summary_label": label,
        "lines": lines,
        "votes": votes(paper),
        "thumbnail": find_thumbnail(paper) if find_thumbnail else None,
    }
    values = {"paper": {**shown, "links": tuple(paper_links(paper))}}
    title_html, lines_html, links_html = (
        # Escaped by the templates.
        Markup(render(part, values).strip())  # noqa: S704
        for part in (templates.title, templates.lines, templates.links)
    )
    text_title, text_lines, text_links = (
        render(part, values).strip() for part in (templates.text_title, templates.text_lines, templates.text_links)
    )
    title_words = len(title.split())
    return Card(
        **shown,
        words=title_words + sum(len(line.text.split()) for line in lines),
        title_words=title_words,
        title_html=title_html,
        lines_html=lines_html,
        links_html=links_html,
        text_title=text_title,
        text_lines=text_lines,
        text_links=text_links,
    )


def display_title(paper: Paper) -> str:
    """Format a paper's title for display: LaTeX as Unicode, and very long titles shortened."""
    return _shown(paper.title)


@lru_cache(maxsize=4096)
def _shown(title: str) -> str:
    # Cached, since the first titles of a digest also appear in its subject and preheader.
    return shorten(readable(title), _LONGEST_TITLE)


def status_label(paper: Paper) -> str:
    """Return "Retracted" or "Withdrawn" for such a paper, and an empty text for others."""
    return paper.status.capitalize() if paper.status is not None else ""


def labelled_title(paper: Paper) -> str:
    """Return the title of a paper for display, after its label if it was retracted or withdrawn."""
    label = status_label(paper)
    return f"{label}: {display_title(paper)}" if label else display_title(paper)


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


def votes(paper: Paper) -> str:
    """Format the counts of a paper, like "12 upvotes · 1 comment"; empty without any."""
    counts = ((paper.upvotes, "upvote"), (paper.comments, "comment"))
    return " · ".join(f"{number:,} {noun}{'' if number == 1 else 's'}" for number, noun in counts if number)


def paper_path(paper_id: str) -> str:
    """Return the path of a paper's page on the site."""
    return f"/papers/{quoted_id(paper_id)}"


def quoted_id(paper_id: str) -> str:
    """Quote the id of a paper for a path: a DOI has slashes, and browsers resolve dots."""
    awkward = {"", ".", ".."} & {*paper_id.split("/")}
    return quote(paper_id, safe="" if awkward else "/")


def page_url(site_url: str | None, paper: Paper) -> str | None:
    """Return the address of a paper's page on the site; None without a site."""
    return f"{site_url}{paper_path(paper.id)}" if site_url and paper.id else None


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
