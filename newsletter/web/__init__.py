"""The web interfaces: the site, its API, and the live preview."""
