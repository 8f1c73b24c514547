"""The 256-bit key that all randomness of a run's private steps depends on."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from accounting.secret import Secret
from configs.errors import UserError
from configs.files import sync_folder

SIZE = 32  # bytes


class RunKey(Secret):
    """The run key. Stream keys are derived from it; the key itself never leaves this object.

    Args:
        secret: 32 bytes.
        insecure: whether it is a fixed key for tests, which makes the run NOT PRIVATE.

    Raises:
        ValueError: if the secret has another length.
    """

    def __init__(self, secret: bytes, *, insecure: bool) -> None:
        if len(secret) != SIZE:
            raise ValueError(f"a run key has {SIZE} bytes, got {len(secret)}")
        self._secret = secret
        self.insecure = insecure

    @classmethod
    def create_or_load(cls, path: str | Path, insecure_hex: str | None = None) -> RunKey:
        """The key in `path`; if it is missing, one is drawn by the operating system's generator (file mode 0600).

        A file that is shorter than a key, or all zeros, was never in use or was being destroyed: it is replaced by a
        new key.

        Args:
            insecure_hex: 64 hexadecimal digits to use instead of the file; nothing is written then.

        Raises:
            UserError: if others may read the file, it is a link, it is not a key or it cannot be used; if
                `insecure_hex` does not have 64 hexadecimal digits.
        """
        if insecure_hex is not None:
            return cls(_parse(insecure_hex), insecure=True)
        path = Path(path)
        try:
            secret = _load(path)
            if secret is None:
                path.unlink(missing_ok=True)
                _create(path)
                secret = _load(path)
        except OSError as error:
            raise UserError(
                f"{path}: the run key cannot be used ({error.strerror}). Check the folder's permissions."
            ) from error
        if secret is None:
            raise UserError(
                f"{path}: the run key changed while it was read. Make sure that no second process works on this run."
            )
        return cls(secret, insecure=False)

    @classmethod
    def load(cls, path: str | Path, insecure_hex: str | None = None) -> RunKey:
        """The key in `path`, which another process of the same job has written. Writes nothing.

        Args:
            insecure_hex: as in `create_or_load`.

        Raises:
            UserError: if there is no key, or for the reasons of `create_or_load`.
        """
        if insecure_hex is not None:
            return cls(_parse(insecure_hex), insecure=True)
        secret = _load(Path(path))
        if secret is None:
            raise UserError(
                f"{path}: there is no run key. All processes of a job must see the same run folder (run.root)."
            )
        return cls(secret, insecure=False)

    def derive(self, info: bytes) -> bytes:
        """32 bytes for the purpose that `info` describes: HKDF-SHA256 without salt. Source: RFC 5869."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._secret)

    @staticmethod
    def destroy(path: str | Path) -> None:
        """Overwrite the key with zeros and remove it, if there is one.

        Best effort: a journalling or copy-on-write file system, a snapshot or an SSD may keep the old block.

        Raises:
            UserError: if the file cannot be opened for writing.
        """
        path = Path(path)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(
                f"{path}: the run key cannot be destroyed ({error.strerror}). Remove the file by hand."
            ) from error
        try:
            os.write(descriptor, bytes(max(SIZE, os.fstat(descriptor).st_size)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.unlink()
        sync_folder(path.parent)


def _parse(digits: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digits):
        raise UserError(
            f"privacy.insecure_key must be 64 hexadecimal digits, got {len(digits)} characters. "
            "It is for tests only; leave it out for a private run."
        )
    return bytes.fromhex(digits)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # regardless of the umask
        os.write(descriptor, os.urandom(SIZE))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _load(path: Path) -> bytes | None:
    """The key in `path`; None if there is no file, or an unfinished or zeroed one."""
    if path.is_symlink():
        raise UserError(f"{path}: the run key is a symbolic link, which is not allowed. Remove the link.")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise UserError(
                f"{path}: the run key can be read by others (mode {mode:04o}), so they may know its noise. "
                "Start a new run or, if you are sure that nobody has read it, run chmod 600 on it."
            )
        secret = os.read(descriptor, SIZE + 1)
    finally:
        os.close(descriptor)
    if len(secret) > SIZE:
        raise UserError(f"{path}: this is not a run key ({SIZE} bytes). Restore it, or start a new run (run.name).")
    return secret if len(secret) == SIZE and any(secret) else None
