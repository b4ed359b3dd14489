"""What loading a machine leaves undone until it is needed."""

from __future__ import annotations

from .expressions import compiled


def test_an_expression_is_compiled_when_it_is_first_called() -> None:
    """From the second call on it is the compiled function itself; its value is the same."""
    expression = compiled("n + 1", {"n": "int"})
    before = expression.call
    values = [before({"n": 2}, {}, None)]
    after = expression.call
    values += [before({"n": 2}, {}, None), after({"n": 2}, {}, None)]

    assert values == [3, 3, 3]
    assert (before.__name__, after.__name__) == ("first", "<lambda>")
