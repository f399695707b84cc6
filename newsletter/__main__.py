"""``python -m newsletter`` does what the ``newsletter`` command does."""

from newsletter.cli import main

main()
