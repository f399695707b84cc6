"""What a spam filter makes of a message: SpamAssassin, with its local rules alone."""

import mailbox
import re
import subprocess
from pathlib import Path

from tests.helpers.newsletter import Newsletter

MOST_POINTS = 0.0


def test_spamassassin_has_next_to_nothing_against_a_digest(newsletter: Newsletter, tmp_path: Path) -> None:
    newsletter.with_sample()
    newsletter.subscriber(
        "ada", "email: ada@example.org\nname: Ada\npapers: 20\ninterests: [multi-objective learning, language models]\n"
    )
    # In one go, since it reads its rules for seconds.
    digests = mailbox.mbox(tmp_path / "digests.mbox")
    layouts = ["full", "compact", "titles", "full without a site"]
    for layout in layouts:
        newsletter.configure(digest={"layout": layout.partition(" ")[0]})
        if layout.endswith("without a site"):
            config = newsletter.folder / "config.yaml"
            config.write_text(config.read_text().replace("  url: https://papers.example.org\n", ""))
            newsletter.configure(bounces={"maildir": "mailbox"})
        path = newsletter.folder / "digest.eml"
        newsletter.run("preview", "ada@example.org", "--output", path)
        digests.add(path.read_bytes())
    digests.close()
    command = ["spamassassin", "-L", "-t", "--mbox", tmp_path / "digests.mbox"]
    report = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "replace")
    points = re.findall(r"Content analysis details:\s+\((-?[\d.]+) points", report)
    assert len(points) == len(layouts), report
    details = report.split("Content analysis details")[1:]
    for layout, found, detail in zip(layouts, points, details, strict=True):
        assert float(found) <= MOST_POINTS, (layout, detail[:1_000])
