"""What a spam filter makes of a message: SpamAssassin, with its local rules alone."""

import re
import subprocess

import pytest

from tests.conftest import Newsletter

MOST_POINTS = 0.5


@pytest.mark.parametrize("template", ["digest", "compact", "weekly"])
def test_spamassassin_has_next_to_nothing_against_a_digest(newsletter: Newsletter, template: str) -> None:
    newsletter.with_sample()
    newsletter.configure(digest={"template": template})
    newsletter.subscriber(
        "ada", "email: ada@example.org\nname: Ada\npapers: 20\ninterests: [multi-objective learning, language models]\n"
    )
    path = newsletter.folder / "digest.eml"
    newsletter.run("preview", "ada@example.org", "--output", path)
    ran = subprocess.run(["spamassassin", "-L", "-t"], input=path.read_bytes(), capture_output=True, check=True)
    report = ran.stdout.decode("utf-8", "replace")
    points = re.search(r"Content analysis details:\s+\((-?[\d.]+) points", report)
    assert points is not None, report
    assert float(points[1]) <= MOST_POINTS, report[report.index("Content analysis") :]
