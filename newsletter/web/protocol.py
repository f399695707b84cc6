"""uvicorn's HTTP/1.1 protocol, with a deadline for everything that a client may keep the site waiting for."""

import asyncio
from enum import Enum, auto
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from newsletter.config.web import Web
from newsletter.web.connections import Connections

LEAST_RATE = 2_000
"""Bytes a second at which a client must read a response, measured over ``web.send_timeout_seconds``."""


_MOST_READ = 8_192
"""Bytes read from a connection in one iteration of the event loop. h11 makes an event of each chunk of a body, so the
256 KiB of asyncio could be 43,000 events in one go, a second in which nobody else is served."""


class Stage(Enum):
    """What happens on a connection."""

    HEADER = auto()  # waiting for a request
    BODY = auto()  # waiting for the rest of a request
    READING = auto()  # waiting for the client to read a response
    WORKING = auto()  # the client waits for us


class Connection(H11Protocol):
    """One connection of a client.

    A deadline counts from the beginning of the wait, not from the last byte: sending one byte a second gains no time.
    """

    def __init__(self, web: Web, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._seconds = {
            Stage.HEADER: web.header_timeout_seconds,
            Stage.BODY: web.body_timeout_seconds,
            Stage.READING: web.send_timeout_seconds,
        }
        self._counted = connections
        self._host = ""
        self._is_lost = False
        self._stage: tuple[Stage, object] | None = None
        self._unread = 0
        self._deadline: asyncio.TimerHandle | None = None

    def drop(self) -> None:
        """Close the connection immediately and discard unsent data."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._host = transport.get_extra_info("peername")[0]
        # An attribute of asyncio's transport for sockets, which server.py pins. Others would ignore it.
        transport.max_size = _MOST_READ  # type: ignore[attr-defined]
        # Writing is then paused whenever the client has not read everything yet.
        transport.set_write_buffer_limits(high=0)
        self._update_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._counted.mark_busy(self)
        self._counted.release(self._host)
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_deadline()

    def on_response_complete(self) -> None:
        # More requests arrived before this one was answered (pipelining). Browsers never do that, and a flood of it
        # would keep a connection busy forever. Such a client must connect again (RFC 9112, section 9.3.2).
        if self.conn.their_state is h11.DONE and self.conn.trailing_data[0]:
            self.transport.close()
        super().on_response_complete()
        self._update_deadline()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._update_deadline()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._update_deadline()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
            if self.cycle is not None:
                # Whatever the site responds to this request is too late, as if the client had gone.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        else:
            # A response was sent or started already, so another cannot be sent. To try would leave h11 in a state in
            # which the connection cannot be shut down.
            self.transport.close()

    def _should_upgrade(self) -> bool:
        return False  # The site has no WebSockets. A server may ignore Upgrade (RFC 9110, section 7.8).

    def _update_deadline(self) -> None:
        """Set a new deadline when the connection enters another stage, or the same one for the next request."""
        stage = self._current_stage()
        if self._is_lost or (stage, self.cycle) == self._stage:
            return
        self._stage = (stage, self.cycle)
        self._cancel_deadline()
        if stage is Stage.WORKING:
            self._counted.mark_busy(self)
            return
        self._unread = self.transport.get_write_buffer_size()
        self._deadline = self.loop.call_later(self._seconds[stage], self._on_deadline, stage)
        self._counted.mark_waiting(self)

    def _current_stage(self) -> Stage:
        if self.flow.write_paused:
            return Stage.READING
        return {h11.IDLE: Stage.HEADER, h11.SEND_BODY: Stage.BODY}.get(self.conn.their_state, Stage.WORKING)

    def _on_deadline(self, stage: Stage) -> None:
        read = self._unread - self.transport.get_write_buffer_size()
        if stage is Stage.READING and read >= self._seconds[stage] * LEAST_RATE:
            self._unread -= read
            self._deadline = self.loop.call_later(self._seconds[stage], self._on_deadline, stage)
        else:
            self.drop()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
