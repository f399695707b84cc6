"""Which papers the words of an interest find, in any script, and the reason shown for each."""

import json

import pytest

from tests.helpers.newsletter import Newsletter

LANGUAGES = [
    ("基于强化学习的织布机控制", "本文用强化学习控制织布机。"),
    ("化学纤维综述", "本文比较各种化学纤维。"),
    ("深層学習による織物の検査", "深層学習で織物の傷を見つける。"),
    ("大規模言語モデルと織機", "大規模言語モデルが織機を動かす。"),
    ("강화학습을 이용한 직조", "직조에 강화학습을 쓴다."),
    ("हिन्दी में बुनाई", "हिन्दी पाठ बुनाई सिखाते हैं।"),
    ("दिन और हाथ", "दिन में हाथ का काम।"),
    ("การทอผ้าด้วยการเรียนรู้แบบเสริมกำลัง", "เครื่องทอผ้าเรียนรู้แบบเสริมกำลัง"),
    ("نسج القماش", "تَعَلُّم النسج بالآلة"),
    ("Nähen im Café", "Wir nähen."),
    ("C++ for looms", "Looms are driven from C++."),
    ("F# and the mill", "Types of threads in F#."),
    ("A runtime for weavers", "The .NET runtime drives looms."),
    ("Nets for fishing", "A net is woven of rope."),
    ("Statistics of cloth with R", "We count threads in R."),
    ("C for old looms", "Machines of the eighties speak C."),
    ("T cells under stress", "T-cell exhaustion is slow."),
    ("Cell towers", "Masts for telephones near mills."),
    ("Swelling of H₂O-soaked wool", "Wool soaks up water."),
]


def stored(newsletter: Newsletter, papers: list[tuple[str, str]]) -> None:
    rows = [{"title": title, "abstract": abstract, "listed_on": "2025-11-28"} for title, abstract in papers]
    (newsletter.folder / "papers.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    newsletter.run("import", "papers.jsonl")


def ranked(newsletter: Newsletter, interest: object) -> list[tuple[str, str]]:
    """The titles and reasons of the papers that reach the threshold, best first."""
    interests = json.dumps([interest], ensure_ascii=False)
    newsletter.subscriber("ada", f"email: ada@example.org\ninterests: {interests}\n")
    rows = newsletter.run("rank", "ada@example.org", "--json").rows
    return [(row["title"], row["because"]) for row in rows if row["score"] >= 0.18]


@pytest.mark.parametrize(
    ("interest", "title", "because"),
    [
        ("强化学习", "基于强化学习的织布机控制", "强化学习"),
        ("深層学習", "深層学習による織物の検査", "深層学習"),
        ("言語モデル", "大規模言語モデルと織機", "言語モデル"),
        ("강화학습", "강화학습을 이용한 직조", "강화학습"),
        ("हिन्दी", "हिन्दी में बुनाई", "हिन्दी"),
        ("เสริมกำลัง", "การทอผ้าด้วยการเรียนรู้แบบเสริมกำลัง", "เสริมกำลัง"),
        ("تعلم", "نسج القماش", "تَعَلُّم"),
        ("Cafe\u0301", "Nähen im Café", "café"),
        ("C++", "C++ for looms", "C++"),
        ("F#", "F# and the mill", "F#"),
        (".NET", "A runtime for weavers", ".NET"),
        ("R", "Statistics of cloth with R", "R"),
        ("r", "Statistics of cloth with R", "R"),
        ("C", "C for old looms", "C"),
        ({"name": "Programs", "keywords": {"R": 1, "Excel": 1}}, "Statistics of cloth with R", "R"),
        ({"name": "Programs", "keywords": {"R": 1}}, "Statistics of cloth with R", "R"),
        ({"name": "Immunology", "keywords": {"T cell": 1}}, "T cells under stress", "T-cell"),
        ("H2O", "Swelling of H₂O-soaked wool", "H₂O-soaked"),
    ],
)
def test_words_in_any_script_find_their_papers(
    newsletter: Newsletter, interest: object, title: str, because: str
) -> None:
    stored(newsletter, LANGUAGES)
    assert ranked(newsletter, interest) == [(title, because)]
    if isinstance(interest, str):
        found = newsletter.run("papers", "search", interest, "--json").rows
        assert (found[0]["title"], found[0]["because"]) == (title, because)


def test_a_and_i_find_nothing(newsletter: Newsletter) -> None:
    stored(newsletter, LANGUAGES)
    assert ranked(newsletter, "A") == []
    assert ranked(newsletter, "I") == []


LOOMS = [(f"Loom number {number}", f"Weaving in mill {number}; learning by doing.") for number in range(20)]


def test_a_keyword_of_several_words_is_a_phrase_first(newsletter: Newsletter) -> None:
    stored(
        newsletter,
        [
            ("Learning to rank cloth", "We learn to sort cloth."),
            ("Losses for lists", "Losses of learning-to-rank methods."),
            ("Low-rank adaptation", "Low-rank learning of adapters."),
            ("Learning low-rank tensors", "Tensors of low rank."),
            *LOOMS,
        ],
    )
    assert ranked(newsletter, {"name": "Sorting", "keywords": {"learning to rank": 1}}) == [
        ("Learning to rank cloth", "learning to rank"),
        ("Losses for lists", "learning-to-rank"),
    ]
    # No paper has this phrase; one of its words alone is no match.
    assert ranked(newsletter, {"name": "Flying", "keywords": {"learning to fly": 1}}) == []


def test_abbreviations_match_both_ways(newsletter: Newsletter) -> None:
    stored(
        newsletter,
        [
            ("Plans for weaving", "Large language models (LLMs) plan the weaving."),
            ("LLM agents at the loom", "An LLM agent mends threads."),
            ("Weaving by large language model agents", "They mend threads."),
            *LOOMS,
        ],
    )
    short = dict(ranked(newsletter, "LLM agents"))
    long = dict(ranked(newsletter, "large language model agents"))
    # The reason is what the paper says, not what the interest says.
    assert short["Weaving by large language model agents"] == "large language model agents"
    assert long["LLM agents at the loom"] == "LLM agent"
    found = newsletter.run("papers", "search", "large language model agents", "--json").rows
    assert {row["title"] for row in found} >= {"LLM agents at the loom", "Weaving by large language model agents"}
    # The stored index knows them too.
    assert (newsletter.config.index_folder / "state.json").exists()
    assert dict(ranked(newsletter, "LLM agents")) == short


def test_an_index_fitted_by_other_rules_for_words_is_fitted_again(newsletter: Newsletter) -> None:
    stored(newsletter, LANGUAGES)
    newsletter.run("index")
    state = newsletter.config.index_folder / "state.json"
    former = json.loads(state.read_text())
    space = newsletter.config.index_folder / former["version"] / "space"
    # As the version before wrote it: no rules, no named terms, no abbreviations.
    state.write_text(json.dumps({key: value for key, value in former.items() if key != "terms"}))
    (space / "abbreviations.json").unlink()
    numbers = json.loads((space / "space.json").read_text())
    (space / "space.json").write_text(json.dumps({key: numbers[key] for key in ("pivot", "usual")}))
    assert ranked(newsletter, "R") == [("Statistics of cloth with R", "R")]
    assert json.loads(state.read_text())["terms"] == former["terms"]
    assert (space / "abbreviations.json").exists()
