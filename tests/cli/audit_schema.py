"""The schema of `audit --json`, as the program has it, and where the reference keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from statetape.fsm.audit import Report

SCHEMA = Path(__file__).resolve().parents[2] / "docs/reference/audit.schema.json"
TITLE = "statetape audit --json"


def audit_schema() -> str:
    """Return the schema's text."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        **msgspec.json.schema(Report),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the schema again."""
    SCHEMA.write_text(audit_schema())


if __name__ == "__main__":
    main()
