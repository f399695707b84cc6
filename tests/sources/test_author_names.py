import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.sources.author_names import clean_authors, split_authors

SEPARATED = [
    "Nora Feld, Ivo Lang, Mia Roth",
    "Nora Feld, Ivo Lang and Mia Roth",
    "Nora Feld, Ivo Lang, and Mia Roth",
    "Nora Feld, Ivo Lang & Mia Roth",
    "Nora Feld, Ivo Lang &amp; Mia Roth",
    "Nora Feld and Ivo Lang and Mia Roth",
    "Nora Feld; Ivo Lang; Mia Roth;",
    "Nora Feld;Ivo Lang ;; Mia Roth",
    "Nora Feld | Ivo Lang | Mia Roth",
    "Nora Feld · Ivo Lang · Mia Roth",
    "Nora Feld, Ivo Lang und Mia Roth",
    "Nora Feld, Ivo Lang et Mia Roth",
    "Nora Feld\nIvo Lang\nMia Roth",
    "Nora Feld<br/>Ivo Lang<br/>Mia Roth",
    "Nora Feld , Ivo Lang,Mia Roth , ",
    "Nora Feld,\n  Ivo\n  Lang, Mia Roth",
    "By Nora Feld, Ivo Lang, Mia Roth",
    "Authors: Nora Feld, Ivo Lang, Mia Roth",
    "<b>Nora Feld</b>, Ivo&nbsp;Lang, Mia Roth",
    # The family name first.
    "Feld, Nora; Lang, Ivo; Roth, Mia",
    "Feld, Nora and Lang, Ivo and Roth, Mia",
    "Feld, Nora, Lang, Ivo, Roth, Mia",
    "Feld, Nora, Ivo Lang, and Mia Roth",
    # What belongs to no name.
    "Nora Feld, Ivo Lang, Mia Roth et al.",
    "Nora Feld, Ivo Lang, Mia Roth, et al",
    "Nora Feld, Ivo Lang, Mia Roth, and others",
    "Nora Feld, Ivo Lang, Mia Roth, ...",
    "Nora Feld, :, Ivo Lang, -, Mia Roth, .",
    "Nora Feld, Ivo Lang, Nora Feld, Mia Roth",
    "Dr. Nora Feld, Prof. Dr. Ivo Lang, Mrs Mia Roth",
    "Nora Feld, PhD, Ivo Lang, M.D., Ph.D., Mia Roth PhD",
    "Nora Feld1,2, Ivo Lang2*, Mia Roth3",
    "Nora Feld 1,2, Ivo Lang 2, Mia Roth 3",
    "Nora Feld¹˒², Ivo Lang²*, Mia Roth†",
    "Nora Feld$^{1,2}$, Ivo Lang$^2$, Mia Roth^3",
    "Nora Feld a, Ivo Lang b, Mia Roth a,b",
    "Nora Feld [1], Ivo Lang [1, 2], Mia Roth [3]",
    "Nora Feld (1), Ivo Lang (1 and 2), Mia Roth (2) ((1) Testville University, (2) Sand and Gravel Lab)",
    "Nora Feld (Testville University, Testville), Ivo Lang (Lab (Sand)), Mia Roth (she/her)",
    "Nora Feld, Ivo Lang, Mia Roth (Testville University",
    "Nora Feld, Testville University; Ivo Lang, Institute for Sand; Mia Roth, CNRS",
    "nora@sand.example (Nora Feld), ivo@sand.example (Ivo Lang), mia@sand.example (Mia Roth)",
    "Nora Feld <nora@sand.example>, Ivo Lang (ivo@sand.example), Mia Roth mia@sand.example",
    "Nora Feld https://orcid.org/0000-0002-1825-0097, Ivo Lang (ORCID: 0000-0001-5109-3700), Mia Roth",
]


@pytest.mark.parametrize("text", SEPARATED)
def test_three_names_in_a_text(text: str) -> None:
    assert split_authors(text) == ("Nora Feld", "Ivo Lang", "Mia Roth")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("J&ouml;rg Wei&szlig;", ["Jörg Weiß"]),
        ("J&amp;ouml;rg Wei&#223;", ["Jörg Weiß"]),
        (r"J{\"o}rg Wei{\ss}", ["Jörg Weiß"]),
        ("Feld, N.", ["N. Feld"]),
        ("Feld, N., Lang, I. J., Roth, M.-K.", ["N. Feld", "I. J. Lang", "M.-K. Roth"]),
        ("Feld, N., Lang, I., & Roth, M.", ["N. Feld", "I. Lang", "M. Roth"]),
        ("Feld, N., Lang, I. and Roth, M.", ["N. Feld", "I. Lang", "M. Roth"]),
        ("Feld, N., I. Lang, M. Roth", ["N. Feld", "I. Lang", "M. Roth"]),
        ("Feld NA, Lang I, Roth M-K", ["N. A. Feld", "I. Lang", "M.-K. Roth"]),
        ("Feld NA, van der Lang I, Roth M Jr", ["N. A. Feld", "I. van der Lang", "M. Roth Jr"]),
        ("Feld N.A., Lang I.", ["N.A. Feld", "I. Lang"]),
        ("Лесков Н. С., Толь В. И.", ["Н. С. Лесков", "В. И. Толь"]),
        ("Nora FELD, Yan LI", ["Nora FELD", "Yan LI"]),
        ("Yan LI, Bo XU", ["Yan LI", "Bo XU"]),
        ("FELD, Nora; LANG, Ivo", ["Nora FELD", "Ivo LANG"]),
        ("van den Lang, I. J.", ["I. J. van den Lang"]),
        ("de la Roth, Mia; ten Feld, Nora", ["Mia de la Roth", "Nora ten Feld"]),
        ("Lang, Ivo van den", ["Ivo van den Lang"]),
        ("Roth Feld, Mia", ["Mia Roth Feld"]),
        ("Roth Feld, Mia Nora; Lang Sand, Ivo Bo", ["Mia Nora Roth Feld", "Ivo Bo Lang Sand"]),
        ("Santiago Ramón y Cajal", ["Santiago Ramón y Cajal"]),
        ("Feld, Nora, Jr.", ["Nora Feld Jr."]),
        ("Feld, Jr., Nora", ["Nora Feld Jr."]),
        ("Nora Feld, Jr., Ivo Lang III", ["Nora Feld Jr.", "Ivo Lang III"]),
        ("Nora Feld, Voltaire, Ivo Lang", ["Nora Feld", "Voltaire", "Ivo Lang"]),
        ("Voltaire, Nora Feld, Ivo Lang", ["Voltaire", "Nora Feld", "Ivo Lang"]),
        ("Nora Feld and Voltaire", ["Nora Feld", "Voltaire"]),
        ("Feld, Lang, and Roth", ["Feld", "Lang", "Roth"]),
        ("McLang, Ivo", ["Ivo McLang"]),
        ("O'Feld, Nora", ["Nora O'Feld"]),
        ("王小明, 李雷", ["王小明", "李雷"]),
        ("王小明、李雷，韩梅梅；林涛", ["王小明", "李雷", "韩梅梅", "林涛"]),
        ("佐藤 花子, 高橋 一郎", ["佐藤 花子", "高橋 一郎"]),
        ("김철수, 이영희", ["김철수", "이영희"]),
        ("王小明 等", ["王小明"]),
        ("سارة علي، عمر حسن", ["سارة علي", "عمر حسن"]),
        # Organisations.
        ("The SAND Collaboration, N. Feld, I. Lang", ["The SAND Collaboration", "N. Feld", "I. Lang"]),
        ("SAND Collaboration: Nora Feld, Ivo Lang", ["SAND Collaboration", "Nora Feld", "Ivo Lang"]),
        ("Nora Feld (for the SAND Collaboration)", ["Nora Feld", "SAND Collaboration"]),
        ("Nora Feld, on behalf of the Gravel Study Group", ["Nora Feld", "Gravel Study Group"]),
        ("Nora Feld and the SAND Collaboration", ["Nora Feld", "the SAND Collaboration"]),
        ("SAND and GRAVEL Collaborations", ["SAND and GRAVEL Collaborations"]),
        ("Academy of Mining and Geology", ["Academy of Mining and Geology"]),
        ("Institute of Art and Management Testville", ["Institute of Art and Management Testville"]),
        ("Nora Feld and Institute of Mining and Geology", ["Nora Feld", "Institute of Mining and Geology"]),
        ("Institute of Mining and Nora Feld", ["Institute of Mining", "Nora Feld"]),
        ("Academy of Arts, Engineering, and Medicine", ["Academy of Arts, Engineering, and Medicine"]),
        ("Sand and Gravel Administration", ["Sand and Gravel Administration"]),
        ("SandAI and Gravel Research", ["SandAI", "Gravel Research"]),
        ("DeepSand, Nora Feld", ["DeepSand", "Nora Feld"]),
        ("Sand, Inc.", ["Sand, Inc."]),
        ("Team 42", ["Team 42"]),
        ("nfeld99", ["nfeld99"]),
        ("Feld, N., on behalf of the SAND Collaboration", ["N. Feld", "SAND Collaboration"]),
        ("N. Feld et al. (SAND Collaboration)", ["N. Feld", "SAND Collaboration"]),
        ("SAND Collaboration, Feld, Nora", ["SAND Collaboration", "Nora Feld"]),
        ("University of Sand, Testville", ["University of Sand, Testville"]),
        ("Department of Sand, University of X", ["Department of Sand", "University of X"]),
        ("Team SND", ["Team SND"]),
        ("Nora Feld, Ivo Lang and 3 more", ["Nora Feld", "Ivo Lang"]),
        ("Nora Feld – Testville University", ["Nora Feld"]),
        ("Dr Nora Feld MD, PhD", ["Nora Feld"]),
        ("Nora Feld; PhD", ["Nora Feld"]),
        # Nothing.
        ("nobody@sand.example", []),
        ("NA", []),
        (" : ", []),
        ("", []),
        ("et al.", []),
    ],
)
def test_names_in_a_text(text: str, names: list[str]) -> None:
    assert split_authors(text) == tuple(names)


def test_a_source_that_lists_names_in_their_usual_order() -> None:
    assert split_authors("Voltaire, Nora Feld", family_first=False) == ("Voltaire", "Nora Feld")
    assert split_authors("SAND, :, Nora Feld", family_first=False) == ("SAND", "Nora Feld")


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["Sandy", ":", "Nora Feld", ""], ["Sandy", "Nora Feld"]),
        (["Nora Feld, Ivo Lang", "Mia Roth"], ["Nora Feld", "Ivo Lang", "Mia Roth"]),
        (["Roth Feld, Mia Nora", "Lang Sand, Ivo Bo"], ["Mia Nora Roth Feld", "Ivo Bo Lang Sand"]),
        (["Feld NA", "Lang I"], ["N. A. Feld", "I. Lang"]),
        (["Nora Feld", "nora feld"], ["Nora Feld"]),
    ],
)
def test_names_in_a_list(texts: list[str], names: list[str]) -> None:
    assert clean_authors(texts) == tuple(names)


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["Nora", "Ivo B.", "Jean-Luc", "Xin", "Mia A. K.", "Øyvind"]),
        st.sampled_from(["Feld", "van der Lang", "O'Roth", "Şahin", "Sand-Gravel", "de la Cruz"]),
        st.text(st.sampled_from("abcdefgh"), min_size=3, max_size=6),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda name: name[2],
)


@given(NAMES, st.sampled_from([", ", "; ", " and ", " & "]))
def test_no_name_is_lost_and_the_order_is_kept(names: list[tuple[str, str, str]], separator: str) -> None:
    usual = tuple(f"{given} {family}{end}" for given, family, end in names)
    assert split_authors(separator.join(usual)) == usual
    assert clean_authors(usual) == usual
    inverted = [f"{family}{end}, {given}" for given, family, end in names]
    assert split_authors("; ".join(inverted)) == usual
    assert clean_authors(inverted) == usual


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["(", ")", ",", ";", " and ", "A", "Feld", "1", "@", "é", " ", "."])).map("".join)
)
def test_any_text_gives_names(text: str) -> None:
    for name in split_authors(text):
        assert name == " ".join(name.split())
        assert any(map(str.isalpha, name))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000, "((" * 5_000 + "a)" * 5_000, "and " * 20_000, "Feld, " * 20_000, "a" * 100_000, "A." * 30_000,
        "1," * 30_000, "^" * 50_000, "A B " * 20_000, "a@" * 30_000, "dr. " * 20_000, "<" * 50_000, "for the " * 9_000,
        "Institute of Mining" + " and Geology" * 9_000, "A. " * 90 + "!, " + "Bb " * 90 + "!,", "http://" * 9_000,
        "orcid " * 9_000, "0000-" * 9_000, ". " * 30_000,
    ],
)  # fmt: skip
def test_a_hostile_text_takes_no_time(text: str) -> None:
    start = time.process_time()
    split_authors(text)
    assert time.process_time() - start < 2


def test_thousands_of_authors_take_no_time() -> None:
    names = [f"Nora {chr(65 + n % 26)}. Feld{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(3_000)]
    start = time.process_time()
    assert split_authors(", ".join(names)) == tuple(names)
    assert time.process_time() - start < 0.5
