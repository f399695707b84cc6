"""A personalised email newsletter of new research papers."""

__version__ = "0.1.0"
