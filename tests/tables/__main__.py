"""Write the machines' files: `python -m tests.tables`."""

from __future__ import annotations

from .facts import read
from .machine_file import path_of, text_of

for facts in read():
    path = path_of(facts.name)
    text = text_of(facts)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"{path.parent.name}/{path.name}")
