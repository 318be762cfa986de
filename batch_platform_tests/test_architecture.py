"""Rules of the project that a reader relies on and a tool can hold."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_platform.cli.config import env_example
from batch_platform.core.settings import PROJECT_ROOT, load_settings

PACKAGES = ("batch_platform", "batch_platform_tests", "benchmarks", "migrations")
OLD_VARIABLES = """
    ENGINE_FOR_SQLALCHEMY DB_TABLE_CHATTINGS DB_COLUMN_CHATTING_PK DB_COLUMN_INPUT_TEXT
    DB_COLUMN_CREATED_AT DB_TABLE_CHAT_KEYWORDS DB_COLUMN_QUERY_TEXT DB_COLUMN_KEYWORD
    DB_COLUMN_CATEGORY_ID DB_COLUMN_QUERY_COUNT DB_COLUMN_BATCH_CREATED_AT DB_TABLE_CATEGORIES
    DB_COLUMN_CATEGORY_NAME HCX_CHAT_API_KEY HCX_MODEL HCX_APP_TYPE HCX_MAX_TOKENS HCX_TEMPERATURE
    HCX_MAX_REQUESTS_PER_MINUTE SMTP_SERVER SMTP_PORT SENDER_EMAIL SENDER_PASSWORD RECIPIENT_EMAILS
    CRON_SCHEDULE CRON_EMAIL ORG_NAME ORG_TIMEZONE PARALLEL_ENABLED PARALLEL_WORKERS
    PARALLEL_CHUNK_SIZE BATCH_DEFAULT_CATEGORY_ID BATCH_EXCLUDE_CATEGORY_IDS
    DATABASE_URL OPENAI_API_KEY SECRET_KEY USE_S3 AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    CELERY_BROKER_URL CELERY_RESULT_BACKEND GEMINI_API_KEY MAILTO WEBHOOK_URL
""".split()  # noqa: SIM905 - sixty quotes would hide the names
"""What the five systems that the platform replaces read."""

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|tmp|root|home)/[\w.-]+")


def tracked(*suffixes: str) -> list[Path]:
    """Files of the project as it would be cloned."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [PROJECT_ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file() and file.name.endswith(suffixes or ("",))]


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for file in tracked(".py"):
        if file.relative_to(PROJECT_ROOT).parts[0] in PACKAGES:
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def test_layers_are_kept() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    shown = subprocess.run([tool, "--no-cache"], cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stdout


def test_every_module_says_what_belongs_in_it() -> None:
    silent = [
        file.relative_to(PROJECT_ROOT)
        for file, tree in modules()
        if tree.body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [file for file, _ in modules() if VAGUE_NAMES & {file.stem, file.parent.name}]
    assert vague == []


def test_annotations_are_what_dagster_reads() -> None:
    # As text they would hide from Dagster which parameters are resources.
    postponed = [
        file
        for file, tree in modules()
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
    ]
    assert postponed == []


def test_asset_functions_are_thin() -> None:
    for file, tree in modules():
        if file.name != "assets.py":
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                statements = node.body[1:] if ast.get_docstring(node) else node.body
                lines = statements[-1].end_lineno or 0
                assert lines - statements[0].lineno < 35, f"{file.name}: {node.name}"


def test_the_example_of_the_settings_is_up_to_date() -> None:
    written = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    assert written == env_example(), "Run batch-platform config example > .env.example"


def test_the_old_systems_variables_are_known() -> None:
    known = {variable for _, variable, *_ in load_settings().variables()}
    assert set(OLD_VARIABLES) - known == set()


def test_every_setting_is_explained() -> None:
    for section, variable, _, _, description in load_settings().variables():
        assert len(description) > 5, f"{section}: {variable}"


@pytest.mark.parametrize("suffix", [".py", ".md", ".yaml", ".toml", ".json", "Makefile", "run"])
def test_nothing_names_a_path_of_one_machine(suffix: str) -> None:
    named = [
        f"{file.relative_to(PROJECT_ROOT)}: {match.group()}"
        for file in tracked(suffix)
        for match in MACHINE_PATHS.finditer(file.read_text(encoding="utf-8"))
    ]
    assert named == []
