"""A client of the agents dialect. It does what the Python clients that are out there do, frame by frame: the token and the channel
stand in the query, an answer finds its sender by message_id, whatever is no answer is a message, and a connection that was not closed
on purpose is made again after a growing delay."""

import asyncio
import json
import uuid

import websockets

ACK_TIMEOUT = 5
MAX_RECONNECTS = 5
FIRST_DELAY = 1
LONGEST_DELAY = 30


class Refused(Exception):
    """The broker answered a message with an ERROR."""


class Agent:
    def __init__(self, base, token, channel=None):
        self.url = f"{base}/ws?token={token}" + (f"&channel_id={channel}" if channel else "")
        self.socket = None
        self.running = False
        self.pending = {}  # message id -> future
        self.reconnects = 0
        self.reader = None
        self.on_message = lambda message: None
        self.on_close = lambda close: None

    async def connect(self):
        self.socket = await websockets.connect(self.url)
        self.running = True
        self.reconnects = 0
        self.reader = asyncio.create_task(self._read())

    async def disconnect(self):
        self.running = False
        await self.socket.close()

    async def send(self, content, metadata=None):
        """Returns the ACK; raises Refused with the text of the ERROR."""
        message_id = str(uuid.uuid4())
        future = asyncio.get_running_loop().create_future()
        self.pending[message_id] = future
        frame = {"id": message_id, "type": "message", "content": content, "metadata": metadata or {}}
        await self.socket.send(json.dumps(frame))
        try:
            return await asyncio.wait_for(future, ACK_TIMEOUT)
        finally:
            self.pending.pop(message_id, None)

    async def _read(self):
        try:
            while True:
                self._receive(json.loads(await self.socket.recv()))
        except websockets.exceptions.ConnectionClosed as closed:
            await self._closed(closed)

    def _receive(self, frame):
        kind = frame.get("type")
        if kind in ("ACK", "ERROR") and "message_id" in frame:
            future = self.pending.get(frame["message_id"])
            if future is None or future.done():
                return
            if kind == "ACK":
                future.set_result(frame)
            else:
                future.set_exception(Refused(frame.get("error")))
        else:
            self.on_message(frame)

    async def _closed(self, closed):
        self.on_close({"code": closed.code, "reason": closed.reason})
        for future in self.pending.values():
            if not future.done():
                future.set_exception(ConnectionError("disconnected"))
        if self.running and self.reconnects < MAX_RECONNECTS:
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2**self.reconnects)
            self.reconnects += 1
            await asyncio.sleep(delay)
            await self.connect()
