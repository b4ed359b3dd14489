"""Names that mean something already: words of the language, constants, and what may be hidden."""

from __future__ import annotations

import pytest
from statetape.fsm.errors import SpecError

from .machines import machine, refused

STATES = "states: {open: {initial: true}, closed: {final: true}}\n"
GO = "go: [{from: open}]"
RESERVED = ["now", "height", "key", "state", "old", "true", "none"]


def test_beginning_is_not_called_as_taking_over_is() -> None:
    """An entry says by its event whether an instance began, or was in mid-life already."""
    wrong = refused(f"{STATES}create: {{event: §adopted}}")

    assert wrong.message == "'adopted' is taken: choose another name"
    assert machine(f"{STATES}create: {{event: adoption}}").create.name == "adoption"


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize(
    "body",
    [
        f"data: {{'NAME': §int}}\n{STATES}",
        f"{STATES}events: {{e: {{params: {{'NAME': §int}}, {GO}}}}}",
        f"{STATES}create: {{params: {{'NAME': §int}}}}",
        f"{STATES}events: {{e: {{require: [{{let: {{'NAME': §1}}}}], {GO}}}}}",
        f"constants: {{'NAME': §1}}\n{STATES}",
        f"types: {{'NAME': §{{a: int}}}}\n{STATES}",
    ],
    ids=["field", "parameter", "creation", "let", "constant", "type"],
)
def test_word_of_the_language_names_nothing_else(name: str, body: str) -> None:
    """What `now` or `old` means cannot be taken over."""
    error = refused(body.replace("NAME", name))

    assert error.message == f"'{name}' is a word of the language: choose another name"


@pytest.mark.parametrize(
    "body",
    [
        f"constants: {{A: 1}}\ndata: {{A: §int}}\n{STATES}",
        f"constants: {{A: 1}}\n{STATES}events: {{e: {{params: {{A: §int}}, {GO}}}}}",
        f"constants: {{A: 1}}\n{STATES}create: {{params: {{A: §int}}}}",
        f"constants: {{A: 1}}\n{STATES}events: {{e: {{require: [{{let: {{A: §1}}}}], {GO}}}}}",
    ],
    ids=["field", "parameter", "creation", "let"],
)
def test_constant_is_never_hidden(body: str) -> None:
    """A reader who looks a constant up finds its value."""
    assert refused(body).message == "'A' is taken: choose another name"


def test_parameter_may_be_named_like_a_field_and_hides_it() -> None:
    """Its type is then the parameter's, as an assignment shows."""
    with pytest.raises(SpecError, match="text where int is meant"):
        machine(
            f"data: {{a: int}}\n{STATES}events: {{e: {{params: {{a: text}}, set: {{a: a}}, {GO}}}}}"
        )
