"""Libraries by the names that readers know them by."""

from newsletter.model import LibraryKind, LibraryRef

_NAMES = {
    LibraryKind.ZOTERO_USER: "Zotero",
    LibraryKind.ZOTERO_GROUP: "Zotero group {}",
    LibraryKind.FILE: "File {}",
    LibraryKind.UPLOAD: "File {}",
    LibraryKind.ORCID: "Publications of ORCID iD {}",
    LibraryKind.OPENALEX: "Publications of OpenAlex author {}",
}


def library_name(library: LibraryRef) -> str:
    """Return the name of a library, such as "Zotero" or "File papers.bib"."""
    return _NAMES[library.kind].format(library.id)
