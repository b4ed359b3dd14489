"""Write the parts of the documentation that come from the program: `make docs`."""

from __future__ import annotations

from .documents import CLI_REFERENCE, README, cli_reference, demo_transcript, readme_with

CLI_REFERENCE.write_text(cli_reference())
README.write_text(readme_with(demo_transcript()))
