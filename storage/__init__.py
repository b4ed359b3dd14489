"""The tape on disk: the only SQL, the only files.

Owns the schema and its migrations, appending and reading of entries as bytes, the Merkle tree,
signed checkpoints, the anchor, and the projections' tables. It knows positions, bytes, hashes and
keys; what an entry or a machine means is none of its business. Start at `tape.Tape`.
"""
