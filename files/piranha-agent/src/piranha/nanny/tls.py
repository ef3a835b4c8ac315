# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS around any conversation, without a socket: bytes in, bytes out.

The certificate is judged here; what is said inside the connection, by the conversation within.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from .certificate import not_after
from .conversation import Conversation, Step
from .outcome import Finding, Outcome, bad, duration, shown
from .spec import TlsWish

Clock = Callable[[], float]
"""Seconds of the epoch."""

HANDSHAKE_LIMIT = 256 * 1024
"""Bytes of a handshake; the longest chains of certificates need a tenth of that."""
_PIECE = 16 * 1024
_DAY = 86400
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}
)


class Handshake:
    """Makes TLS objects for one check, and judges the certificate that came."""

    def __init__(self, wish: TlsWish, address: str, clock: Clock) -> None:
        """`address`: the server's; it must be in the certificate if no name is wished for."""
        self.wish = wish
        self.clock = clock
        stamp = Path(wish.ca_file).stat().st_mtime_ns if wish.ca_file else 0
        self._context = _context(wish.verify, wish.ca_file, stamp)
        # Without verification an address is no use to the server: names only (RFC 6066, 3).
        self._name = wish.server_name or (address if wish.verify else None)

    def start(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Give a connection that has not begun."""
        return self._context.wrap_bio(incoming, outgoing, server_hostname=self._name)

    def warning(self, connection: ssl.SSLObject) -> str | None:
        """Tell that the certificate expires soon, where that was asked for."""
        if not self.wish.days:
            return None
        try:
            end = not_after(connection.getpeercert(binary_form=True) or b"")
        except ValueError as error:
            return f"the certificate's end cannot be read: {error}"
        days = (end - self.clock()) / _DAY
        if days < 0:
            return f"the certificate expired {-days:.1f} days ago"
        return f"the certificate expires in {days:.1f} days" if days < self.wish.days else None


@lru_cache(maxsize=32)
def _context(verify: bool, ca_file: str | None, _stamp: int) -> ssl.SSLContext:
    """One context for all checks that trust the same; a CA file that changed is read again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = verify
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if verify and ca_file:
        context.load_verify_locations(cafile=ca_file)
    elif verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


class Tls(Conversation):
    """A conversation inside a TLS connection."""

    awaited = "TLS handshake"

    def __init__(self, inner: Conversation, handshake: Handshake) -> None:
        """`inner`: what is said once the connection is safe."""
        super().__init__()
        self._inner = inner
        self._handshake = handshake
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = handshake.start(self._in, self._out)
        self._shaken = False
        self._begun = 0
        self._warning: str | None = None

    def begin(self) -> Step:
        """See Conversation."""
        return self._shake()

    def room(self) -> int:
        """See Conversation."""
        return _PIECE

    def feed(self, piece: bytes) -> Step:
        """See Conversation."""
        self._in.write(piece)
        try:
            if not self._shaken:
                self._begun += len(piece)
                if self._begun > HANDSHAKE_LIMIT:
                    return bad(f"no end of the TLS handshake in its first {HANDSHAKE_LIMIT} bytes")
                step = self._shake()
                if isinstance(step, Outcome) or not self._shaken:
                    return step
                said = self._listen()
                return said if isinstance(said, Outcome) else step + said
            return self._listen()
        except ssl.SSLError as error:
            return bad(failure(error, shaken=self._shaken))

    def closed(self) -> Outcome:
        """See Conversation."""
        if self._shaken:
            return self._mark(self._inner.closed())
        return bad("closed the connection during the TLS handshake")

    def late(self, limit: float) -> Outcome:
        """See Conversation."""
        if self._shaken:
            return self._inner.late(limit)
        return bad(f"connected, but no TLS handshake within {duration(limit)}")

    def _shake(self) -> Step:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._out.read()
        except ssl.SSLError as error:
            return bad(failure(error, shaken=False))
        self._shaken = True
        self._warning = self._handshake.warning(self._tls)
        return self._say(self._inner.begin())

    def _say(self, step: Step) -> Step:
        """Put what the conversation says into the connection."""
        if isinstance(step, Outcome):
            return self._mark(step)
        if step:
            self._tls.write(step)
        done = self._inner.sent()
        return self._mark(done) if done is not None else self._out.read()

    def _listen(self) -> Step:
        said = b""
        while True:
            try:
                plain = self._tls.read(min(_PIECE, self._inner.room()))
            except ssl.SSLWantReadError:
                return said + self._out.read()
            except ssl.SSLZeroReturnError:
                plain = b""
            if not plain:
                return self._mark(self._inner.closed())
            step = self._say(self._inner.feed(plain))
            if isinstance(step, Outcome):
                return step
            said += step

    def _mark(self, outcome: Outcome) -> Outcome:
        """Add the certificate's warning; a server that serves is up all the same."""
        if self._inner.goodbye and outcome.finding is Finding.GOOD:
            self._tls.write(self._inner.goodbye)
            self.goodbye = self._out.read()
        return outcome._replace(warning=self._warning) if self._warning else outcome


def failure(error: ssl.SSLError, *, shaken: bool) -> str:
    """Say in words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    reason = error.reason or ""
    if isinstance(error, ssl.SSLEOFError) or reason == "UNEXPECTED_EOF_WHILE_READING":
        return "closed the connection in the middle of TLS"
    if reason in _NO_TLS:
        return "answered something that is not TLS"
    if "ALERT" in reason:
        alert = reason.partition("ALERT_")[2].lower().replace("_", " ")
        return f"the server refused TLS: {alert}"
    told = shown(reason.lower().replace("_", " ").encode())[1:-1]
    return f"TLS failed{' after the handshake' if shaken else ''}: {told}"
