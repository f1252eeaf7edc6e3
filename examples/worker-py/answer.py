"""The worker's side of the protocol in docs/workers.md: everything that is sent has a number and is kept until the session
has confirmed it, and sent again when it may have been lost."""

import asyncio
import json
import time
import uuid
from datetime import datetime

COALESCE = 0.025  # seconds that a piece of text waits for more; the first one does not
PATIENCE = 2.0  # within which something that was sent should have been confirmed
HEARTBEAT = 3.0  # of silence after which the session is told that the worker lives
AGAIN = {"UNAVAILABLE", "DRAINING", "OUTCOME_UNKNOWN", "STORAGE_FULL"}  # codes that pass


class Over(Exception):
    """Nobody waits for the answer any more."""


class Answer:
    def __init__(self, nc, inbox, request, name):
        self.nc, self.request = nc, request
        self.worker = f"{name}/{uuid.uuid4()}"  # unique: an attempt belongs to one delivery of its request
        self.inbox = f"{inbox}.{uuid.uuid4()}"
        self.unconfirmed = []  # (n, data), oldest first
        self.n = 0  # the number given last
        self.text = ""  # waits to be sent
        self.pause = 0.25
        self.resend_at = None  # when everything is sent again; until then nothing is
        self.said = self.heard = time.monotonic()
        self.over = None  # why nobody waits any more
        self.changed = asyncio.Event()
        text = request["deadline"].replace("Z", "+00:00")
        self.deadline = datetime.fromisoformat(text[:19] + text[-6:]).timestamp()

    async def open(self):
        self.subscriptions = [
            await self.nc.subscribe(self.inbox, cb=self._reply),
            await self.nc.subscribe(self.request["control"], cb=self._control),
        ]
        self.task = asyncio.create_task(self._look())

    async def close(self):
        self.task.cancel()
        for s in self.subscriptions:
            try:
                await s.unsubscribe()
            except Exception:
                pass  # the connection is closed

    async def accept(self):
        """Takes the request over. Raises Over when somebody else has it."""
        fresh = not self.request.get("partial")  # the end of a broken answer of which there is nothing would tell nobody anything
        await self._send(type="accept", worker=self.worker, **{"continue": self.request["attempt"] > 1 and fresh})
        await self.confirmed()

    async def chunk(self, text):
        if self.over:
            raise self.over
        self.text += text
        if self.n == 1:
            await self._flush()

    async def tool_call(self, call_id, tool, arguments):
        await self._send(type="tool_call", call_id=call_id, tool=tool, arguments=arguments)

    async def tool_result(self, call_id, tool, result):
        await self._send(type="tool_result", call_id=call_id, tool=tool, result=result)

    async def end(self, follow_ups=(), usage=None):
        if follow_ups:
            await self._send(type="follow_ups", questions=list(follow_ups))
        await self._send(type="end", **({"usage": usage} if usage else {}))
        await self.confirmed()

    async def fail(self, code, message, retry=False):
        """Ends the answer with words for the user; with retry, another worker may try."""
        try:
            await self._send(type="error", code=code, message=message, retry=retry)
            await self.confirmed()
        except Over:
            pass

    async def confirmed(self):
        """Returns when the log has everything."""
        while self.unconfirmed and not self.over:
            self.changed.clear()
            await self.changed.wait()
        if self.over:
            raise self.over
    async def _flush(self):
        text, self.text = self.text, ""
        if text:
            await self._send(type="chunk", text=text)

    async def _send(self, **fields):
        if fields["type"] != "chunk":
            await self._flush()
        if self.over:
            raise self.over
        self.n += 1
        if not self.unconfirmed:
            self.heard = time.monotonic()
        data = self._encode(n=self.n, **fields)
        self.unconfirmed.append((self.n, data))
        if self.resend_at is None:  # else it follows the others
            await self._publish(data)

    def _encode(self, **fields):
        r = self.request
        return json.dumps({"run": r["run"], "attempt": r["attempt"], "epoch": r["epoch"], **fields}).encode()

    async def _publish(self, data):
        self.said = time.monotonic()
        try:
            await self.nc.publish(self.request["reply_to"], data, reply=self.inbox)
        except Exception:
            pass  # the connection is lost; it is sent again

    async def _reply(self, msg):
        self.heard = time.monotonic()
        if msg.headers and msg.headers.get("Status") == "503":  # no node listens: it may have died
            return self._retry()
        reply = json.loads(msg.data)
        code = None if reply["ok"] else reply["error"]["code"]
        if code in AGAIN:
            return self._retry()
        if code not in (None, "OUT_OF_ORDER"):
            return self._end(code)
        before = len(self.unconfirmed)
        self.unconfirmed = [m for m in self.unconfirmed if m[0] > reply.get("n", 0)]
        if len(self.unconfirmed) < before:
            self.pause = 0.25
        if code:
            self._retry()
        self.changed.set()

    def _retry(self):
        if self.resend_at is None:
            self.resend_at = time.monotonic() + self.pause
            self.pause = min(2 * self.pause, 2.0)

    async def _control(self, msg):
        notice = json.loads(msg.data)
        if notice["type"] == "stop" and (notice["run"], notice["attempt"]) == (self.request["run"], self.request["attempt"]):
            self._end("stopped")

    def _end(self, why):
        self.over = Over(why)
        self.unconfirmed = []
        self.changed.set()

    async def _look(self):
        """Does what is due."""
        while not self.over:
            await asyncio.sleep(COALESCE)
            now = time.monotonic()
            if time.time() > self.deadline:
                self._end("the deadline has passed")
            elif self.resend_at is not None and now >= self.resend_at or self.unconfirmed and now - self.heard > PATIENCE:
                self.resend_at, self.heard = None, now
                for _, data in list(self.unconfirmed):
                    await self._publish(data)
            elif self.text and self.resend_at is None:
                await self._flush()
            elif not self.unconfirmed and now - self.said > HEARTBEAT:
                await self._publish(self._encode(type="heartbeat"))  # it has no number
