"""The keystore: secret keys in one file, each encrypted under its owner's passphrase.

    WALLET        the keystore, canonical JSON, mode 0600
    WALLET.lock   held while a key is added

Theory of operation. For each key the file tells its name, its kind and its public part, and holds
its secret encrypted. From the passphrase and the key's own salt scrypt makes 64 bytes: 32 encrypt
the secret (AES-256-GCM, with name, kind and public part as associated data), 32 are stored as they
are, as the check of the passphrase. Invariants, which the tests cite:

1. A secret is nowhere but in what `unlock` returns: not in the file, not in an error, not in a
   `repr`, not in a file name, not in the lock.
2. What went wrong is told apart as far as it can be. A byte that changed by accident is noticed
   without any passphrase, by the record's SHA-256. With that right, a passphrase that does not fit
   the check is wrong. With the check right, a secret that does not decrypt has been tampered with.
3. Name, kind and public part belong to the secret: swapped between records, it does not decrypt.
4. A hostile file cannot make scrypt take more than WORK_BYTES_MAX of memory, or much more time
   than our own records. This is looked at when the file is read, before any passphrase is asked.
5. Adding goes through temporary file, sync, rename and sync of the directory, under the lock: a
   crash leaves the old keystore or the new, and of two that add at once both keep their key.
6. A file that others may read or write is refused, and not repaired: whoever could read it may
   have read it.

What is not noticed: an old copy of the file put back, or a record taken out (docs/decisions/
0024-wallet.md).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ..fsm.errors import (
    EXIT_FINDING,
    CallerError,
    ConflictError,
    OperatorError,
    Unavailable,
)
from .errors import TapeBusy
from .files import Lock, failed, replace_private

FORMAT = "statetape-keystore"
VERSION = 1
KINDS = ("secp256k1", "ed25519")
FILE_BYTES_MAX = 1 << 20
KEYS_MAX = 1_000
SECRET_BYTES_MAX = 1_024
PUBLIC_CHARACTERS_MAX = 512
PASSPHRASE_BYTES_MAX = 1_024
SALT_BYTES = 16
NONCE_BYTES = 12
WORK_BYTES_MAX = 256 << 20
WORK_STEPS_MAX = 1 << 22
LOCK_TIMEOUT_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")


class KeystoreMissing(CallerError):
    """There is no keystore at that path."""

    code = "keystore-missing"


class KeyNameInvalid(CallerError):
    """A key cannot have that name. It is not repeated: it may be a key."""

    code = "key-name-invalid"


class KeyNameTaken(CallerError):
    """The keystore has a key of that name; it is never replaced."""

    code = "key-name-taken"


class KeyUnknown(CallerError):
    """The keystore has no key of that name."""

    code = "key-unknown"


class KeystoreFull(CallerError):
    """The keystore holds as many keys as it may."""

    code = "keystore-full"


class PassphraseWrong(CallerError):
    """This passphrase does not open this key."""

    code = "passphrase-wrong"


class NotAKeystore(OperatorError):
    """The file is something else; it was not touched."""

    code = "not-a-keystore"


class KeystoreTooNew(OperatorError):
    """A newer statetape wrote this keystore; this one would misread it."""

    code = "keystore-too-new"


class KeystoreDamaged(OperatorError):
    """The keystore, or a key in it, is not as it was written. `place` names which."""

    code = "keystore-damaged"
    exit_status = EXIT_FINDING


class KeystoreExposed(OperatorError):
    """Others than its owner may read or write the keystore."""

    code = "keystore-exposed"


class KeystoreBusy(ConflictError):
    """Another process adds a key for longer than we wait. Try again."""

    code = "keystore-busy"


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How hard scrypt has to work: 128·n·r bytes of memory, n·r·p steps."""

    n: int
    r: int
    p: int


NEW_WORK = Work(n=1 << 17, r=8, p=1)
"""For new keys: 128 MiB and about half a second, for everybody who tries a passphrase."""


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key as the file holds it; nothing of it is secret without the passphrase."""

    name: str
    kind: str
    public: str
    work: Work
    salt: bytes
    nonce: bytes
    check: bytes
    encrypted: bytes
    sha256: str

    def __repr__(self) -> str:
        """What may be shown to everybody: the rest is of no use to a reader."""
        return f"KeyRecord({self.name!r}, {self.kind!r}, {self.public!r})"


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    version: int
    keys: tuple[KeyRecord, ...]


class _Head(msgspec.Struct, frozen=True):
    format: str
    version: int


@dataclass(frozen=True)
class NewKey:
    """A key that is to be stored."""

    name: str
    kind: str
    public: str
    secret: bytes

    def __repr__(self) -> str:
        """Without the secret (invariant 1)."""
        return f"NewKey({self.name!r}, {self.kind!r}, {self.public!r})"


def check_name(name: str) -> str:
    """Return `name` if a key can have it. Raises KeyNameInvalid."""
    if not _NAME.fullmatch(name):
        why = "a name is at most 63 of A-Z a-z 0-9 . _ / -, and begins with a letter or digit"
        raise KeyNameInvalid(why, place="name")
    return name


class Keystore:
    """The keystore in the file at `path`; nothing is read before it is asked for."""

    def __init__(self, path: str | Path, *, timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self.path = Path(path)
        # A link stays a link: what it leads to is replaced.
        self._file = Path(os.path.realpath(path))
        self.timeout_s = timeout_s

    def records(self) -> tuple[KeyRecord, ...]:
        """Return every key, in the order of their names.

        Raises KeystoreMissing, KeystoreExposed, NotAKeystore, KeystoreTooNew, KeystoreDamaged.
        """
        found = self._read()
        if found is None:
            hint = "`statetape wallet new` or `wallet import` makes one"
            raise KeystoreMissing("there is no keystore here", place=str(self.path), hint=hint)
        return found

    def record(self, name: str) -> KeyRecord:
        """Return one key. Raises KeyUnknown besides what `records` raises."""
        check_name(name)
        found = self.records()
        for one in found:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in found[:10]) or "none"
        raise KeyUnknown(f"there is no key {name!r}", place=str(self.path), hint=f"keys: {names}")

    def unlock(self, name: str, passphrase: bytes) -> bytes:
        """Return a key's secret. Raises PassphraseWrong, KeystoreDamaged and as `record` does."""
        record = self.record(name)
        place = self._place(name)
        key, check = _derive(passphrase, record.salt, record.work)
        if not hmac.compare_digest(check, record.check):
            hint = "each key has the passphrase that it was stored with"
            raise PassphraseWrong("the passphrase does not open this key", place=place, hint=hint)
        secret = _decrypted(key, record)
        if secret is None:
            why = "the passphrase is right, but the key was tampered with: it does not decrypt"
            raise KeystoreDamaged(why, place=place, hint="restore the keystore from a backup")
        return secret

    def refuse_taken(self, name: str) -> None:
        """Raise KeyNameTaken if there is a key of that name; no keystore yet is none."""
        self._refuse_taken(check_name(name), self._read() or ())

    def add(
        self,
        key: NewKey,
        passphrase: bytes,
        entropy: Callable[[int], bytes],
        work: Work = NEW_WORK,
    ) -> KeyRecord:
        """Store a key durably; the file is made if there is none.

        entropy: gives that many random bytes; salt and nonce are made of them.
        Raises KeyNameTaken, KeystoreFull, KeystoreBusy (nothing stored), and as `records` does.
        """
        self.refuse_taken(key.name)
        # Encrypted before the lock is taken: it takes half a second.
        record = _encrypted(key, passphrase, entropy, work)
        try:
            lock = Lock(Path(f"{self._file}.lock"), self.timeout_s)
            try:
                lock.acquire()
                self._append(record)
                lock.release()
            finally:
                lock.close()
        except TapeBusy:
            why = f"another process has held the keystore for {self.timeout_s:g} s"
            raise KeystoreBusy(why, place=str(self.path), hint="try again") from None
        return record

    def _append(self, record: KeyRecord) -> None:
        """Put a record among those that are there now. Only under the lock (invariant 5)."""
        before = self._read() or ()
        self._refuse_taken(record.name, before)
        keys = tuple(sorted([*before, record], key=lambda one: one.name))
        content = _encode(_Document(FORMAT, VERSION, keys))
        if len(keys) > KEYS_MAX or len(content) > FILE_BYTES_MAX:
            hint = "begin another one with --wallet"
            raise KeystoreFull("no more keys fit in here", place=str(self.path), hint=hint)
        replace_private(self._file, content)

    def _refuse_taken(self, name: str, among: tuple[KeyRecord, ...]) -> None:
        if any(one.name == name for one in among):
            hint = "a key is never replaced: take another name"
            raise KeyNameTaken(f"there is a key {name!r} already", place=str(self.path), hint=hint)

    def _place(self, name: str) -> str:
        return f"{self.path}, key {name}"

    def _read(self) -> tuple[KeyRecord, ...] | None:
        content = _read_private(self._file, str(self.path))
        if content is None:
            return None
        keys = self._decode(content).keys
        for record in keys:
            why = _unsound(record)
            if why:
                # A name is shown only where it can be one: this is whatever somebody wrote.
                shown = record.name if _NAME.fullmatch(record.name) else "?"
                hint = "restore the keystore from a backup"
                raise KeystoreDamaged(why, place=self._place(shown), hint=hint)
        names = [record.name for record in keys]
        if names != sorted(set(names)):
            raise KeystoreDamaged("keys are not in the order of names", place=str(self.path))
        return keys

    def _decode(self, content: bytes) -> _Document:
        """Return what the file says, if it says it in its one canonical form."""
        place = str(self.path)
        try:
            head = msgspec.json.decode(content, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            head = None
        if head is None or head.format != FORMAT:
            raise NotAKeystore("this is no keystore of statetape", place=place)
        if head.version != VERSION:
            why = f"its version is {head.version}; known here is {VERSION}"
            raise KeystoreTooNew(why, place=place, hint="update statetape")
        try:
            document = msgspec.json.decode(content, type=_Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
        if document is None or _encode(document) != content or len(document.keys) > KEYS_MAX:
            hint = "restore it from a backup"
            raise KeystoreDamaged("it is not as statetape writes it", place=place, hint=hint)
        return document


def _read_private(path: Path, place: str) -> bytes | None:
    """Return a small file's content, if nobody but its owner may read it; None if there is none."""
    try:
        # Not blocking: somebody may have put a pipe there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(error, path) from error
    try:
        _refuse_exposed(os.fstat(descriptor).st_mode, place)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise failed(error, path) from error
    finally:
        os.close(descriptor)
    if len(content) > FILE_BYTES_MAX:
        raise NotAKeystore(f"a keystore has at most {FILE_BYTES_MAX} bytes", place=place)
    return content


def _refuse_exposed(mode: int, place: str) -> None:
    """Raise for what is no file, or one that others than its owner have a right to."""
    if not stat.S_ISREG(mode):
        raise NotAKeystore("this is no file", place=place)
    if mode & 0o077:
        why = f"its mode is {stat.S_IMODE(mode):04o}: others may read or change it"
        hint = "who could read it has only a passphrase left to guess; then `chmod 600` it"
        raise KeystoreExposed(why, place=place, hint=hint)


def _encode(document: _Document) -> bytes:
    return msgspec.json.encode(document, order="sorted") + b"\n"


def _unsound(record: KeyRecord) -> str:
    """Return what is wrong with a record as it stands in the file; "" if nothing is."""
    if _digest(record) != record.sha256:
        return "its bytes are not those that were written"
    if not _NAME.fullmatch(record.name) or record.kind not in KINDS:
        return "it has a name or kind that no key has"
    if not 0 < len(record.public) <= PUBLIC_CHARACTERS_MAX or not record.public.isprintable():
        return "it has a public part that no key has"
    if (len(record.salt), len(record.nonce), len(record.check)) != (SALT_BYTES, NONCE_BYTES, 32):
        return "its salt, nonce or check have a wrong length"
    if len(record.encrypted) > SECRET_BYTES_MAX + 16:
        return "its secret is longer than any"
    return _absurd(record.work)


def _absurd(work: Work) -> str:
    """Return why scrypt is not run with these parameters; "" if they are reasonable."""
    n, r, p = work.n, work.r, work.p
    if n < 2 or n & (n - 1) or r < 1 or p < 1:
        return "its parameters of scrypt are impossible"
    if 128 * n * r > WORK_BYTES_MAX or n * r * p > WORK_STEPS_MAX:
        return f"its parameters of scrypt ask for more than {WORK_BYTES_MAX >> 20} MiB, or too long"
    return ""


def _digest(record: KeyRecord) -> str:
    blank = msgspec.structs.replace(record, sha256="")
    return hashlib.sha256(msgspec.json.encode(blank, order="sorted")).hexdigest()


def _derive(passphrase: bytes, salt: bytes, work: Work) -> tuple[bytes, bytes]:
    """Return the key that encrypts, and the check of the passphrase."""
    try:
        made = Scrypt(salt=salt, length=64, n=work.n, r=work.r, p=work.p).derive(passphrase)
    except MemoryError:
        size = 128 * work.n * work.r >> 20
        raise Unavailable(f"there is not enough memory for scrypt: {size} MiB") from None
    return made[:32], made[32:]


def _associated(name: str, kind: str, public: str) -> bytes:
    return msgspec.json.encode([FORMAT, VERSION, name, kind, public])


def _encrypted(
    key: NewKey, passphrase: bytes, entropy: Callable[[int], bytes], work: Work
) -> KeyRecord:
    salt, nonce = entropy(SALT_BYTES), entropy(NONCE_BYTES)
    encrypting, check = _derive(passphrase, salt, work)
    associated = _associated(key.name, key.kind, key.public)
    encrypted = AESGCM(encrypting).encrypt(nonce, key.secret, associated)
    fields = (key.name, key.kind, key.public, work, salt, nonce, check, encrypted)
    record = KeyRecord(*fields, sha256="")
    made = msgspec.structs.replace(record, sha256=_digest(record))
    why = _unsound(made)
    if why:  # what would not be read again is not written
        raise ValueError(f"the key to be stored: {why}")
    return made


def _decrypted(key: bytes, record: KeyRecord) -> bytes | None:
    associated = _associated(record.name, record.kind, record.public)
    try:
        return AESGCM(key).decrypt(record.nonce, record.encrypted, associated)
    except InvalidTag:
        return None
