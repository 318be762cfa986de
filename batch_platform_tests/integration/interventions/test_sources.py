"""The service's database on every kind of server: read whole, written in its own shape."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa

from batch_platform.domains.interventions.models import Allergy, Gubun
from batch_platform.domains.interventions.source import InterventionSource
from batch_platform.domains.interventions.store import TEXT_COLUMNS
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.gateways.source_db.address import source_engine
from batch_platform.sandbox.sample_patients import fill, sample_patient
from batch_platform_tests.given_settings import settings_of

DAY = date(2026, 11, 20)
USERS = 40
SEOUL = ZoneInfo("Asia/Seoul")


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "mariadb":
        found = request.getfixturevalue("mariadb").url
    elif request.param == "postgresql":
        db = request.getfixturevalue("platform_db")
        with psycopg.connect(db.url) as connection:
            connection.execute("CREATE SCHEMA service")
        found = f"{db.url}?options=-csearch_path%3Dservice"
    else:
        file = tmp_path / "patients.sqlite"
        file.touch()
        found = f"sqlite:///{file}"
    engine = source_engine(found, "INTERVENTIONS_DATABASE_URL")
    fill(engine, DAY, users=USERS, days=1)
    return found


def made(user_id: str, **changes: object) -> dict[str, object]:
    return {
        "user_id": user_id,
        "target_date": date(2026, 11, 21),
        **{name: f"{name} 글 😀" for name in TEXT_COLUMNS},
        "diet_target": '{"Breakfast": "흰죽"}',
        "processing_time": 0.25,
        "error_message": None,
        "input": '{"allergies": []}',
        "output": '{"sleep_target": "일찍"}',
        **changes,
    }


def test_every_user_is_read_as_the_source_holds_them(url: str) -> None:
    settings = settings_of(
        INTERVENTIONS_DATABASE_URL=url,
        INTERVENTIONS_TABLE_SLEEP_RECORDS="interventions_usersleeprecord",
    )
    source = InterventionSource(SourceDatabase(url, SEOUL), settings.interventions)
    assert isinstance(source.warnings(), tuple)
    users = {user.user_id: user for user in source.users(DAY)}
    expected = {str(number): sample_patient(number, DAY) for number in range(1, USERS + 1)}
    assert set(users) == set(expected)
    for key, patient in expected.items():
        user = users[key]
        assert len(user.foods) == len(patient.foods), key
        assert user.has_exercise == (patient.steps is not None), key
        assert user.sleep_minutes == patient.sleep_minutes, key
        assert user.has_profile == (patient.profile is not None), key


def test_records_go_back_in_place_and_errors_are_tried_again(url: str) -> None:
    settings = settings_of(INTERVENTIONS_DATABASE_URL=url)
    source = InterventionSource(SourceDatabase(url, SEOUL), settings.interventions)
    at = datetime(2026, 11, 21, tzinfo=UTC)
    rows = [made("1"), made("2", error_message="The allergies are not known")]
    for _ in range(2):
        assert source.publish(DAY, Gubun.ALL, rows, at) == 2
    assert source.publish(DAY, Gubun.SLEEP, [made("1")], at) == 1
    assert source.records(DAY, Gubun.ALL) == {"1": 1, "2": 1}
    assert source.users_with_record(DAY, Gubun.ALL) == {"1"}
    assert source.users_with_record(DAY, Gubun.SLEEP) == {"1"}
    assert not source.users_with_record(DAY, Gubun.FOOD)
    with source_engine(url, "X").connect() as connection:
        stored = connection.execute(
            sa.text("SELECT sleep_target, created_at FROM interventions_interventionrecord")
        ).all()
    assert {text for text, _ in stored} == {"sleep_target 글 😀"}
    assert all(str(created).startswith("2026-11-21 09:00:00") for _, created in stored)


@pytest.mark.parametrize("shape", ["list", "columns"])
def test_allergies_in_columns_of_their_own_are_read_too(shape: str, tmp_path: Path) -> None:
    file = tmp_path / "patients.sqlite"
    file.touch()
    engine = source_engine(f"sqlite:///{file}", "X")
    fill(engine, DAY, users=3, days=1)
    with engine.begin() as connection:
        connection.execute(
            sa.text("ALTER TABLE interventions_userprofile ADD COLUMN has_egg BOOLEAN DEFAULT 1")
        )
    said = "egg:has_egg" if shape == "columns" else "allergies"
    settings = settings_of(INTERVENTIONS_COLUMN_ALLERGIES=said)
    source = InterventionSource(SourceDatabase(f"sqlite:///{file}", SEOUL), settings.interventions)
    allergies = [user.allergies for user in source.users(DAY)]
    assert (allergies == [frozenset({Allergy.EGG})] * 3) == (shape == "columns")
