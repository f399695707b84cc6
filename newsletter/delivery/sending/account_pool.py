"""The account pool: an account's sessions, each in its own thread, and the messages that wait for one."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from newsletter.config.mail import Smtp
from newsletter.delivery.sending import rate_limit
from newsletter.delivery.sending.send_recorder import SendRecorder
from newsletter.delivery.smtp.session import AccountUnavailable
from newsletter.delivery.smtp.transport import ConnectionAborted, Outcome, Transport
from newsletter.errors import NewsletterError, describe
from newsletter.model import Message, Send, SendState
from newsletter.support.clock import utc_now

_IDLE_SECONDS = 30.0
"""How long an idle session is kept open, in seconds; servers close them after some minutes."""

_MOST_BROKEN_OFF = 3
"""Messages in a row that may break a session before the server is considered at fault."""

_FULL = 16
"""Messages that may wait for each session: enough to keep it busy, few enough to fit in memory."""

_WORTH_CLAIMING = 64


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A claimed send and its message.

    Attributes:
        at: when it may go on the wire, in seconds of the monotonic clock.
        spacing: seconds until the next message of the account, and of a limited domain, by name.
    """

    send: Send
    message: Message
    at: float
    spacing: Mapping[str, float]


class AccountPool:
    """A mail server with its sessions, which are opened as needed.

    Args:
        name: as in the configuration. ``folder``: the base of relative paths in ``settings``.

    Attributes:
        fed: the number of messages it was given. ``error``: why it is unavailable.
    """

    def __init__(self, name: str, settings: Smtp, folder: Path, engine: Engine, recorder: SendRecorder) -> None:
        self.name, self.settings = name, settings
        self.fed = 0
        self.error: NewsletterError | None = None
        self._held = 0.0
        self._folder, self._engine, self._recorder = folder, engine, recorder
        self._queue: deque[OutgoingMessage] = deque()
        lock = threading.RLock()
        # A message wakes one idle session; progress wakes whoever waits for it.
        self._queued, self._changed = threading.Condition(lock), threading.Condition(lock)
        self._threads: list[threading.Thread] = []
        self._idle = self._busy = self._broken_off = 0
        self._most = settings.sessions
        self._next_at: dict[str, float] = {}
        self._closed = self._stopped = False

    @property
    def capacity(self) -> int:
        """Return how many messages it can take now: 0 until it has room for as many as are worth a transaction."""
        most = self._most * _FULL
        room = most - len(self._queue)
        return room if room >= min(_WORTH_CLAIMING, most // 2) else 0

    def put(self, queue: Iterable[OutgoingMessage]) -> None:
        """Queue messages; open another session if all are busy.

        The messages are released if the account turns out to be unavailable.
        """
        with self._changed:
            for outgoing in queue:
                if self._stopped:
                    self._recorder.release(outgoing.send)
                    continue
                self.fed += 1
                self._queue.append(outgoing)
                if self._idle < len(self._queue) and len(self._threads) < self._most:
                    self._open()
                self._queued.notify()

    def wait(self, seconds: float) -> None:
        """Wait until something has changed, or the timeout has passed."""
        with self._changed:
            self._changed.wait(seconds)

    @property
    def number(self) -> int:
        """Return the number of messages not sent yet."""
        return len(self._queue) + self._busy

    def close(self, stop: bool = False) -> None:
        """Send the queued messages (with ``stop``: release those not on the wire yet), and end the sessions."""
        with self._changed:
            self._closed, self._stopped = True, self._stopped or stop
            self._wake_all()
        for thread in list(self._threads):
            thread.join()
        self._give_back()

    def _open(self) -> None:
        thread = threading.Thread(target=self._session, name=f"session of {self.name}", daemon=True)
        self._threads.append(thread)
        self._idle += 1
        thread.start()

    def _session(self) -> None:
        carrying = False
        try:
            with Transport(self.settings, self._folder, self.name) as wire:
                while (outgoing := self._next(wire)) is not None:
                    carrying = True
                    self._carry(wire, outgoing)
                    carrying = False
                    self._count(busy=-1, idle=1)
            self._count(busy=0, idle=-1)
        except Exception as error:  # The dispatcher reports it; errors of threads get lost.
            self._count(busy=-carrying, idle=carrying - 1)
            with self._changed:
                self._end_session(error)
                self._changed.notify_all()

    def _count(self, busy: int, idle: int) -> None:
        with self._changed:
            self._busy += busy
            self._idle += idle
            self._changed.notify_all()

    def _next(self, wire: Transport) -> OutgoingMessage | None:
        while True:
            with self._changed:
                if self._queue and not self._stopped:
                    self._idle -= 1
                    self._busy += 1
                    return self._queue.popleft()
                if self._closed or self._stopped:
                    return None
                if self._queued.wait(_IDLE_SECONDS):
                    continue
            # Not under the lock: the server may take its time to say goodbye.
            wire.close()

    def _carry(self, wire: Transport, outgoing: OutgoingMessage) -> None:
        """Send one message.

        Raises:
            Exception: the session cannot go on; the message was released, or settled as unsure.
        """
        try:
            wire.open()
            at = self._take_moment(outgoing)
            while (seconds := max(at, self._held) - time.monotonic()) > 0 and not self._stopped:
                self.wait(min(seconds, _IDLE_SECONDS))
            if self._stopped:
                self._recorder.release(outgoing.send)
                return
            if (why := self._recorder.breakers.set_aside.get(self.name)) is not None:
                raise AccountUnavailable(why)
        except Exception:
            self._recorder.release(outgoing.send)
            raise
        if not self._recorder.start(outgoing.send, self.name):
            return
        try:
            outcome = self._send(wire, outgoing.message)
        except NewsletterError:
            self._recorder.release(outgoing.send, on_wire=True)
            raise
        except Exception as error:
            # A bug of ours: its outcome is unknown, and nobody else may release what this process claimed.
            reason = f"the program failed: {describe(error)}"
            self._recorder.record(outgoing.send, Outcome(SendState.UNSURE, reason=reason), self.name)
            raise
        self._recorder.record(outgoing.send, outcome, self.name)
        self._adapt_rate(outcome)

    def _send(self, wire: Transport, message: Message) -> Outcome:
        try:
            outcome = wire.send(message)
        except ConnectionAborted as error:
            # A message that a server cannot handle must not block all others, run after run.
            self._broken_off += 1
            if self._broken_off > _MOST_BROKEN_OFF:
                raise
            return Outcome(SendState.DEFERRED, reason=str(error).partition(";")[0])
        self._broken_off = 0
        return outcome

    def _take_moment(self, outgoing: OutgoingMessage) -> float:
        """Return when a message may be sent: at its own time, or later if those before it were late."""
        with self._changed:
            at = max([outgoing.at, *(self._next_at.get(key, 0.0) for key in outgoing.spacing)])
            # A delay is not recovered by sending faster.
            self._next_at |= {key: max(at, time.monotonic()) + seconds for key, seconds in outgoing.spacing.items()}
        return at

    @property
    def held_until(self) -> datetime | None:
        """Return when the server's back-off ends (UTC); None if it is not backing off."""
        left = self._held - time.monotonic()
        return utc_now() + timedelta(seconds=left) if left > 0 else None

    def _adapt_rate(self, outcome: Outcome) -> None:
        """Slow down if the server throttles us."""
        if outcome.state is SendState.DEFERRED and rate_limit.is_throttled(outcome.smtp_reply):
            now = utc_now()
            self._held = time.monotonic() + (rate_limit.back_off(self._engine, self.name, now) - now).total_seconds()
        elif outcome.state is SendState.SENT and self._held:
            self._held = 0.0
            rate_limit.end_back_off(self._engine, self.name, utc_now())

    def set_aside(self, error: Exception) -> None:
        """Stop using the account, and release the messages that wait for it."""
        if not isinstance(error, NewsletterError):
            error = NewsletterError(f"account {self.name}: the program failed: {describe(error)}")
        with self._changed:
            self.error = self.error or error
            self._stopped = True
            self._give_back()
            self._wake_all()

    def _wake_all(self) -> None:
        self._queued.notify_all()
        self._changed.notify_all()

    def _end_session(self, error: Exception) -> None:
        """End a session that failed.

        The other sessions go on, since a server may allow fewer than we would open. After the last one the account is
        unavailable, and so it is after an error that concerns all of them.
        """
        self._threads.remove(threading.current_thread())
        self._most = max(1, len(self._threads))
        if not self._threads or isinstance(error, AccountUnavailable) or not isinstance(error, NewsletterError):
            self.set_aside(error)

    def _give_back(self) -> None:
        while self._queue:
            # Report the release first: once none is left here, all of them must be found in the store.
            self._recorder.release(self._queue[0].send)
            self._queue.popleft()
