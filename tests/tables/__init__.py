"""The machines of deals and transfers, written from facts: `python -m tests.tables`.

`facts/` holds one file for each family (retrieval client and provider, storage client and provider,
data transfer channel): what all versions of a machine share stands there once, with what differs
marked. `facts` reads them, `text` writes each machine's file under `specs/`. Why they are written
by a tool, and why it lives here: docs/decisions/0018-machines-from-tables.md.
"""
