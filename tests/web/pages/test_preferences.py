"""Preferences in the browser, over HTTP: the same checks and the same home as a subscriber's file."""

import html
import re

import httpx
import pytest

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import feedback_of, forged_paths, links_of, path_of, row_of, serving, site_client, state_of

FILE = """\
# Ada's own words
email: ada@example.org
interests:
  - name: Several goals  # the main one
    text: multi-objective reinforcement learning
    liked: [Multi-Objective GFlowNets]
  # for the seminar
  - name: Energy
    keywords: {energy-based models: 2, diffusion: 1}
"""


@pytest.fixture
def page(newsletter: Newsletter) -> str:
    newsletter.with_sample()
    newsletter.subscriber("ada", FILE)
    newsletter.run("subscribers", "list")
    return path_of(links_of(newsletter).url(TokenPurpose.PREFERENCES, row_of(newsletter, "ada@example.org")))


def filled(client: httpx.Client, page: str) -> dict[str, str | list[str]]:
    """What a browser would post if the form were sent as it stands."""
    form = client.get(page).text.partition("<form")[2].partition("</form>")[0]
    fields: dict[str, str | list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        said = {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if said.get("type") not in ("checkbox", "radio"):
            fields[said["name"]] = said.get("value", "")
        elif said["type"] == "radio":
            fields |= {said["name"]: said["value"]} if " checked" in tag else {}
        elif " checked" in tag:
            fields[said["name"]] = [*fields.get(said["name"], []), said["value"]]
    for name, value in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>([^<]*)</textarea>', form):
        fields[name] = html.unescape(value)
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        fields[name] = re.findall(r'<option selected value="([^"]+)"', options)[0]
    return {**fields, "act": "save"}


def kept(newsletter: Newsletter) -> dict:
    return dict(newsletter.run("interests", "show", "ada@example.org", "--json").rows[0])


def test_a_form_sent_as_it_is_changes_nothing(newsletter: Newsletter, page: str) -> None:
    before = kept(newsletter)
    with serving(newsletter) as where, site_client(where) as client:
        shown = client.get(page)
        assert shown.headers["cache-control"] == "no-store"
        assert "subscribers/ada.yaml" in shown.text
        assert "Multi-Objective GFlowNets" in shown.text
        assert client.head(page).status_code == 200
        assert client.post(page, data=filled(client, page)).status_code == 303
    assert kept(newsletter) == before
    assert (newsletter.folder / "subscribers" / "ada.yaml").read_text() == FILE


def test_what_is_changed_stands_in_the_file_with_its_comments(newsletter: Newsletter, page: str) -> None:
    newsletter.run("feedback", "ada@example.org", "Multi-Objective GFlowNets", "more", "--interest", "Energy")
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page)
        fields |= {"i0-weight": "2,5", "i0-liked": [], "i1-name": "Energies", "i1-keywords": "diffusion\nflows: 3"}
        fields |= {"i2-text": "graph neural networks for molecules", "day": ["mon", "thu"], "time": "18:15"}
        fields |= {"timezone": "Asia/Kolkata", "papers": "5", "never": "survey\n\nbenchmark", "name": "Ada"}
        fields |= {"trending": "0", "layout": "titles", "update": ["", "retracted", "published"]}
        saved = client.post(page, data=fields)
        assert (saved.status_code, saved.headers["location"]) == (303, f"{page}?said=saved")
        assert "Thursday" not in client.get(page).text  # A Friday: the next is Monday's.
        assert "Monday, 1 December 2025, 18:15" in client.get(page).text
    text = (newsletter.folder / "subscribers" / "ada.yaml").read_text()
    for comment in ("# Ada's own words", "# the main one", "# for the seminar"):
        assert comment in text
    now = kept(newsletter)
    assert [one["name"] for one in now["interests"]] == [
        "Several goals",
        "Energies",
        "graph neural networks for molecules",
    ]
    assert now["interests"][0]["weight"] == 2.5
    assert now["interests"][0]["liked"] == []
    assert now["interests"][1]["keywords"] == {"diffusion": 1.0, "flows": 3.0}
    assert now["schedule"] == {"days": ["mon", "thu"], "time": "18:15", "timezone": "Asia/Kolkata"}
    assert (now["papers"], now["trending"], now["layout"], now["name"]) == (5, 0, "titles", "Ada")
    assert now["never"] == ["survey", "benchmark"]
    assert now["updates"] == ["published", "retracted"]
    # What was said of a paper stays with the interest, whatever it is called.
    assert [interest for _, _, interest in feedback_of(newsletter, "ada@example.org")] == ["Energies"]


def test_removing_and_looking_first(newsletter: Newsletter, page: str) -> None:
    before = kept(newsletter)
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page) | {"i0-remove": "yes", "i1-text": "robot learning from demonstrations"}
        looked = client.post(page, data=fields | {"act": "preview"})
        assert looked.status_code == 200
        live = client.post(f"{page}/preview", files=[(key, (None, one)) for key, one in _flat(fields)])
        titles = re.findall(r'class="title">(?:<a[^>]*>)?([^<]+)', live.text)
        assert titles
        assert all(title in looked.text for title in titles)
        assert titles != re.findall(r'class="title">(?:<a[^>]*>)?([^<]+)', client.get(page).text)
        assert kept(newsletter) == before
        assert client.post(page, data=fields).status_code == 303
    assert [one["name"] for one in kept(newsletter)["interests"]] == ["Energy"]
    assert "# Ada's own words" in (newsletter.folder / "subscribers" / "ada.yaml").read_text()


def test_updates_can_all_be_turned_off_and_a_form_without_them_keeps_them(newsletter: Newsletter, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page)
        assert client.post(page, data={key: value for key, value in fields.items() if key != "update"}).is_redirect
        assert len(kept(newsletter)["updates"]) == 6
        assert client.post(page, data=fields | {"update": ""}).is_redirect
        assert kept(newsletter)["updates"] == []
        assert filled(client, page)["update"] == ""


def _flat(fields: dict[str, str | list[str]]) -> list[tuple[str, str]]:
    return [(key, one) for key, value in fields.items() for one in ([value] if isinstance(value, str) else value)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"time": "25:00"}, "Time: "),
        ({"day": []}, "Days: choose at least one"),
        ({"papers": "1000"}, "Papers: "),
        ({"trending": "51"}, "Trending: "),
        ({"layout": "compct"}, "Layout: 'compct' is not one of full, compact, titles; did you mean 'compact'?"),
        ({"timezone": "Mars/Olympus"}, "Time zone: "),
        ({"i0-weight": "-1"}, "Interest 1, weight: "),
        ({"i1-name": "Several goals"}, "rename one"),
        ({"i0-text": "x" * 20_001}, "Interest 1, text: "),
    ],
)
def test_what_is_wrong_is_told_and_what_was_written_stays(
    newsletter: Newsletter, page: str, wrong: dict[str, str], said: str
) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        answer = client.post(page, data=filled(client, page) | {"never": "<script>"} | wrong)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    assert "&lt;script&gt;</textarea>" in answer.text
    assert (newsletter.folder / "subscribers" / "ada.yaml").read_text() == FILE


@pytest.mark.parametrize("by", ["editor", "command", "browser"])
def test_who_comes_second_is_told_and_loses_nothing(newsletter: Newsletter, page: str, by: str) -> None:
    file = newsletter.folder / "subscribers" / "ada.yaml"
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page) | {"i2-text": "mine"}
        if by == "editor":
            file.write_text(FILE + "never: [theirs]\n")
        elif by == "command":
            newsletter.run("subscribe", "ada@example.org", "-i", "theirs")
        else:
            client.post(page, data=filled(client, page) | {"never": "theirs"})
        lost = client.post(page, data=fields)
        assert lost.status_code == 409
        assert "nothing was saved yet" in lost.text
        assert "theirs" in lost.text
        assert ">mine</textarea>" in lost.text
        assert "theirs" in file.read_text()
        assert "mine" not in file.read_text()
        # Knowing that, they may save it.
        mark = re.findall(r'name="mark" value="([^"]+)"', lost.text)[0]
        assert client.post(page, data=fields | {"mark": mark}).status_code == 303
    assert "mine" in [one["name"] for one in kept(newsletter)["interests"]]


def test_a_file_with_a_mistake_is_left_alone(newsletter: Newsletter, page: str) -> None:
    file = newsletter.folder / "subscribers" / "ada.yaml"
    file.write_text(FILE + "papers: many\n")
    with serving(newsletter) as where, site_client(where) as client:
        assert "currently has an error" in client.get(page).text
        answer = client.post(page, data=filled(client, page) | {"never": "mine"})
        assert answer.status_code == 409
        assert ">mine</textarea>" in answer.text
    assert file.read_text() == FILE + "papers: many\n"


def test_a_pause_ends_by_itself(newsletter: Newsletter, page: str) -> None:
    with serving(newsletter) as where, site_client(where) as client:
        assert client.post(f"{page}/pause").headers["location"] == f"{page}?said=paused"
        assert "Paused until Friday, 12 December 2025" in client.get(page).text
        assert state_of(newsletter, "ada@example.org") == "paused"
        client.post(f"{page}/resume")
        assert state_of(newsletter, "ada@example.org") == "active"
        client.post(f"{page}/pause")
        unsubscribe = path_of(links_of(newsletter).url(TokenPurpose.UNSUBSCRIBE, row_of(newsletter, "ada@example.org")))
        client.post(unsubscribe)
        client.post(re.findall(r'action="(/undo/[^"]+)"', client.get(unsubscribe).text)[0])
        assert state_of(newsletter, "ada@example.org") == "paused"
    newsletter.run("send", "--due", now="2025-12-12T08:59", code=None)
    assert state_of(newsletter, "ada@example.org") == "paused"
    newsletter.run("send", "--due", now="2025-12-12T09:00", code=None)
    assert state_of(newsletter, "ada@example.org") == "active"


def test_wrong_links_and_other_sites_change_nothing(newsletter: Newsletter, page: str) -> None:
    foreign = path_of(links_of(newsletter).url(TokenPurpose.UNSUBSCRIBE, row_of(newsletter, "ada@example.org")))
    wrong = [*forged_paths(page), "/preferences/" + foreign.rpartition("/")[2]]
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page)
        for path in wrong:
            for end in ("", "/preview", "/pause", "/resume", "/export", "/forget", "/address", "/sign-out"):
                assert client.post(path + end, data=fields | {"sure": "yes"}).status_code == 404
            assert client.get(path).status_code == 404
        for end in ("", "/preview", "/pause", "/resume", "/export", "/forget", "/address", "/sign-out"):
            answer = client.post(page + end, data=fields, headers={"Sec-Fetch-Site": "cross-site"})
            assert answer.status_code == 403
    assert state_of(newsletter, "ada@example.org") == "active"


def test_the_form_has_the_bounds_of_a_file(newsletter: Newsletter, page: str) -> None:
    before = kept(newsletter)
    many = {f"i{number}-name": f"interest {number}" for number in range(101)}
    with serving(newsletter) as where, site_client(where) as client:
        fields = filled(client, page)
        for wrong, said in (
            (many, "At most 100 interests are allowed"),
            (
                {"i0-keywords": "\n".join(f"word{number}" for number in range(501))},
                "has too many entries; keep at most 500",
            ),
            ({"never": "x" * 1_001}, "is longer than 1000 characters"),
        ):
            answer = client.post(page, data={**fields, **wrong}, headers={"Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 422
            assert said in html.unescape(answer.text)
    assert kept(newsletter) == before
