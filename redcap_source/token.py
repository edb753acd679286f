"""A token, which opens a project as its user: never in a repr, a log or a pickle.

Not here: where a token is stored; the caller reads it from an environment variable, a keyring or a file.
"""

import hmac
from typing import Any, NoReturn

MASK = "****"


class Token:
    """A REDCap API token; only `reveal()` gives the secret."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        """Blanks around the secret are dropped: a pasted line end is the classic cause of a 403.

        ValueError if it is empty or holds anything but letters and digits.
        """
        stripped = secret.strip()
        if not (stripped.isascii() and stripped.isalnum()):
            raise ValueError("A REDCap token is letters and digits; this one is empty or has other characters.")
        self._secret = stripped

    def reveal(self) -> str:
        """The secret itself, for the request body and nothing else."""
        return self._secret

    def fingerprint(self, salt: str) -> str:
        """Tells tokens apart without giving them away: a token has 128 random bits, which no hash can be undone for."""
        return hmac.new(salt.encode(), self._secret.encode("ascii"), "sha256").hexdigest()

    def masked(self, text: bytes) -> bytes:
        """The text with the secret hidden, in case a server has echoed it."""
        return text.replace(self._secret.encode("ascii"), MASK.encode("ascii"))

    def __repr__(self) -> str:
        return f"Token({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash((Token, self._secret))

    def __copy__(self) -> "Token":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Token":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Token cannot be pickled: give the new process its own way to read the secret.")
