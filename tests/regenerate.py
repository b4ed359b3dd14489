"""Write the parts of the documentation that come from the program: `make docs`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .cli import audit_schema, disputed_channel, failed_retrieval, handed_over
from .cli.stuck_retrieval import HOW_TO, how_to
from .documents import CLI_REFERENCE, README, cli_reference, demo_transcript, readme_with

CLI_REFERENCE.write_text(cli_reference())
README.write_text(readme_with(demo_transcript()))
with tempfile.TemporaryDirectory() as folder:
    HOW_TO.write_text(how_to(Path(folder)))
failed_retrieval.main()
audit_schema.main()
disputed_channel.main()
handed_over.main()
