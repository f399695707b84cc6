"""Challenges: right, in time, and once, whichever process they come to."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import altcha
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from newsletter.audience import challenges
from newsletter.store import open_store, writing

pytestmark = pytest.mark.both_stores

NOW = datetime(2025, 11, 28, 9, 0, tzinfo=UTC)
KEY = "a long enough key for a test"


@pytest.fixture
def engine(store_url: str) -> Engine:
    return open_store(store_url)


def payload(challenge: dict[str, Any], solution: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps({"challenge": challenge, "solution": solution}).encode()).decode()


def solved(challenge: dict[str, Any]) -> str:
    found = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert found is not None
    return payload(challenge, found.to_dict())


def use(engine: Engine, solution: str, now: datetime = NOW, key: str = KEY) -> bool:
    with writing(engine) as connection:
        return challenges.redeem_solution(connection, key, solution, now)


def test_a_solution_is_good_once(engine: Engine, store_url: str) -> None:
    solution = solved(challenges.create_challenge(KEY, 1000, NOW))
    other = open_store(store_url)  # Another process, as far as the store goes.
    engines = [engine, other] * 4
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda one: use(one, solution), engines)) == 1
    assert not use(other, solution)
    # Nor under another writing of the same.
    again = json.loads(base64.b64decode(solution))
    for changed in (
        again | {"more": 1},
        again | {"solution": again["solution"] | {"time": 7}},
        {"solution": again["solution"], "challenge": again["challenge"]},
    ):
        assert not use(engine, base64.b64encode(json.dumps(changed).encode()).decode())
    assert not use(engine, solution + "\n")
    other.dispose()


def test_it_is_good_for_a_while(engine: Engine) -> None:
    for later, good in ((timedelta(minutes=19), True), (timedelta(minutes=21), False)):
        assert use(engine, solved(challenges.create_challenge(KEY, 1000, NOW)), NOW + later) is good
    with writing(engine) as connection:
        challenges.forget(connection, NOW + timedelta(hours=1))
        assert connection.exec_driver_sql("SELECT count(*) FROM solved_challenges").scalar() == 0


def test_what_is_wrong_is_worth_nothing(engine: Engine) -> None:
    challenge = challenges.create_challenge(KEY, 1000, NOW)
    right = json.loads(base64.b64decode(solved(challenge)))
    parameters = right["challenge"]["parameters"]
    longer = parameters | {"data": {"expires": 10**12}}
    easier = parameters | {"keyPrefix": ""}
    signature = right["challenge"]["signature"]
    tried = [
        payload(right["challenge"], right["solution"] | {"counter": right["solution"]["counter"] + 1}),
        payload(right["challenge"], right["solution"] | {"derivedKey": "00" * 32}),
        payload({"parameters": longer, "signature": signature}, right["solution"]),
        payload({"parameters": easier, "signature": signature}, right["solution"]),
        payload({"parameters": parameters}, right["solution"]),
        payload(right["challenge"] | {"signature": signature.upper()}, right["solution"]),
        solved(challenges.create_challenge("another key of some length", 1000, NOW)),
        "",
        "x" * 3000,
        "not base64 \N{SNOWMAN}",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"challenge": 1, "solution": {}}').decode(),
        base64.b64encode(b"[" * 1400).decode(),
    ]
    assert [one for one in tried if use(engine, one)] == []
    assert use(engine, solved(challenge))


@given(st.recursive(st.none() | st.integers() | st.text(), lambda more: st.dictionaries(st.text(), more)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_is_no_mistake_of_ours(engine: Engine, sent: Any) -> None:
    assert not use(engine, base64.b64encode(json.dumps({"challenge": sent, "solution": sent}).encode()).decode())
