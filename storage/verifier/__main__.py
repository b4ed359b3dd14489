"""Verify a dispute bundle from the command line."""

from __future__ import annotations

import sys

from .dispute import main

if __name__ == "__main__":
    sys.exit(main())
