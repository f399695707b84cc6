"""Check our templates with other tools: the official MJML compiler, and caniemail. ``make check-mail``; it needs npm.

The compiler validates the templates in ``templates/`` and compiles them filled with values; both pages, its and ours,
are saved next to each other with screenshots. caniemail lists what mail clients do not support in ours.
"""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from benchmarks.programs import npm_folder
from benchmarks.rendering import SITE, digest, links_of, subscriber
from benchmarks.results import LeftOut, fail, parser
from newsletter.model import Layout
from newsletter.rendering.message import render_parts
from newsletter.rendering.palette import palette
from newsletter.rendering.screenshot import screenshot
from newsletter.rendering.template import BUNDLED, load_templates
from newsletter.rendering.template_context import digest_context

LINKS = links_of(1)
FOLDER = Path("var/bench/mail-programs")
WIDTHS = (375, 800)
PROGRAM = """
import mjml2html from "mjml"; import {caniemail} from "caniemail"; import fs from "fs";
const read = (path) => fs.readFileSync(path, "utf8"), found = {};
for (const name of ["full", "compact", "titles"]) {
  const options = {validationLevel: "soft", ignoreIncludes: false, includePath: `${process.cwd()}/templates`};
  const own = await mjml2html(read("templates/digest.mjml"),
    {...options, filePath: `${process.cwd()}/templates/digest.mjml`});
  const filled = await mjml2html(read(`${name}.mjml`), options);
  fs.writeFileSync(`${name}.official.html`, filled.html);
  const clients = ["gmail.*", "apple-mail.*", "outlook.windows"];
  const checked = caniemail({clients, html: read(`${name}.ours.html`)});
  const missing = {};
  for (const [client, issues] of checked.issues.errors)
    for (const issue of issues) (missing[issue.title] ??= []).push(client);
  found[name] = {complaints: [...own.errors, ...filled.errors].map((error) => error.formattedMessage), missing};
}
console.log(JSON.stringify(found));
"""


def main() -> None:
    parser(__doc__).parse_args()
    try:
        packages = npm_folder("checks")
    except LeftOut as error:
        fail(f"make check-mail checks with npm packages: {error}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copytree(BUNDLED, FOLDER / "templates", dirs_exist_ok=True)
    fill_in_colours()
    for layout in Layout:
        write_pages(layout)
    (FOLDER / "check.mjs").write_text(PROGRAM)
    # Node.js looks for packages next to the program that imports them.
    for name in ("node_modules", "package.json"):
        (FOLDER / name).unlink(missing_ok=True)
        (FOLDER / name).symlink_to((packages / name).resolve())
    ran = subprocess.run(["node", "check.mjs"], cwd=FOLDER, check=True, capture_output=True, text=True)
    for name, found in json.loads(ran.stdout).items():
        print(f"{name}: {len(found['complaints'])} complaints of the official compiler")
        for complaint in found["complaints"]:
            print(f"  {complaint}")
        for feature, clients in sorted(found["missing"].items()):
            print(f"  {feature}: not in {', '.join(sorted(set(clients)))}")
    take_pictures()
    print(f"Pages and screenshots, ours next to the official ones: {FOLDER}")


def fill_in_colours() -> None:
    """Put the colours into the copied templates, as our program does before it compiles them."""
    colours = Environment(autoescape=True, undefined=StrictUndefined)
    colours.globals.update(colour=palette().light, dark=palette().dark)
    for path in (FOLDER / "templates").rglob("*.mjml"):
        tag = re.compile(r"\{\{ (?:colour|dark)\.\w+ \}\}")
        path.write_text(tag.sub(lambda found: colours.from_string(found[0]).render(), path.read_text()))


def write_pages(layout: Layout) -> None:
    """Write our HTML, and the MJML for the official compiler, both with the same values."""
    templates, person, chosen = load_templates(None), subscriber(1), digest(1)
    person = replace(person, preferences=replace(person.preferences, layout=layout))
    html, _ = render_parts(SITE, templates, person, chosen, LINKS)
    (FOLDER / f"{layout}.ours.html").write_text(html)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    source = environment.from_string("\n".join(line.text for line in templates.html.lines))
    (FOLDER / f"{layout}.mjml").write_text(source.render(digest_context(SITE, templates, person, chosen, LINKS)))


def take_pictures() -> None:
    """Take a screenshot of each page, at a phone's width and a desktop's."""
    for page in sorted(FOLDER.glob("*.html")):
        for width in WIDTHS:
            page.with_suffix(f".{width}.png").write_bytes(screenshot(page.read_text(), width, dark=False))


if __name__ == "__main__":
    main()
