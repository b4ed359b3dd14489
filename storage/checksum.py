"""CRC-32, as zlib defines it; from ISA-L where that is installed, which is four times as fast.

Every entry that is read is checked, so this is on the path of every fold. Both give the same
numbers (a test compares).
"""

from __future__ import annotations

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

__all__ = ["crc32"]
