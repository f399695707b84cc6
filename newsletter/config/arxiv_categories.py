"""The categories of arXiv (https://arxiv.org/category_taxonomy), to suggest one for a wrong name."""

import difflib
import re

_SUBJECTS = {
    "astro-ph": "CO EP GA HE IM SR",
    "cond-mat": "dis-nn mes-hall mtrl-sci other quant-gas soft stat-mech str-el supr-con",
    "cs": "AI AR CC CE CG CL CR CV CY DB DC DL DM DS ET FL GL GR GT HC IR IT LG LO MA MM MS NA NE NI OH OS PF PL RO SC "
    "SD SE SI SY",
    "econ": "EM GN TH",
    "eess": "AS IV SP SY",
    "math": "AC AG AP AT CA CO CT CV DG DS FA GM GN GR GT HO IT KT LO MG MP NA NT OA OC PR QA RA RT SG SP ST",
    "nlin": "AO CD CG PS SI",
    "physics": "acc-ph ao-ph app-ph atm-clus atom-ph bio-ph chem-ph class-ph comp-ph data-an ed-ph flu-dyn gen-ph "
    "geo-ph hist-ph ins-det med-ph optics plasm-ph pop-ph soc-ph space-ph",
    "q-bio": "BM CB GN MN NC OT PE QM SC TO",
    "q-fin": "CP EC GN MF PM PR RM ST TR",
    "stat": "AP CO ME ML OT TH",
}
_WITHOUT_SUBJECTS = ("gr-qc", "hep-ex", "hep-lat", "hep-ph", "hep-th", "math-ph", "nucl-ex", "nucl-th", "quant-ph")
_KNOWN = (
    *_SUBJECTS,
    *_WITHOUT_SUBJECTS,
    *(f"{archive}.{subject}" for archive, subjects in _SUBJECTS.items() for subject in subjects.split()),
)
_NAMES = {
    "artificialintelligence": "cs.AI",
    "computationandlanguage": "cs.CL",
    "computervision": "cs.CV",
    "cryptography": "cs.CR",
    "informationretrieval": "cs.IR",
    "machinelearning": "cs.LG",
    "naturallanguageprocessing": "cs.CL",
    "nlp": "cs.CL",
    "quantumphysics": "quant-ph",
    "robotics": "cs.RO",
    "statistics": "stat.ML",
}


def well_formed(name: str) -> bool:
    """Whether a name is a category, or may be one that arXiv has added since."""
    archive, _, subject = name.partition(".")
    return name in _KNOWN or (archive in _SUBJECTS and re.fullmatch("[A-Z]{2}", subject) is not None)


def probable(name: str) -> str | None:
    """Return the category that a wrong name probably means; None if none is close."""
    known = {**_NAMES, **{_folded(one): one for one in _KNOWN}}
    close = difflib.get_close_matches(_folded(name[:80]), known, n=1, cutoff=0.75)
    return known[close[0]] if close else None


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())
