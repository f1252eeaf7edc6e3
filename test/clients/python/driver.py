"""Runs one Agent for the tests: one request a line on standard input, one answer a line on standard output, in the order they are
ready. It ends when its input does."""

import asyncio
import json
import sys

from agent import Agent


class Operations:
    """What a test may ask for. Every operation takes the request and returns a plain value."""

    async def connect(self, request):
        """Starts afresh: what an earlier agent still does is nobody's business."""
        self.messages = asyncio.Queue()
        self.closes = asyncio.Queue()
        self.agent = Agent(request["base"], request["token"], request.get("channel"))
        self.agent.on_message = self.messages.put_nowait
        self.agent.on_close = self.closes.put_nowait
        await self.agent.connect()

    async def send(self, request):
        return await self.agent.send(request["content"], request.get("metadata"))

    async def message(self, request):
        return await self.messages.get()

    async def close(self, request):
        return await self.closes.get()

    async def disconnect(self, request):
        await self.agent.disconnect()


async def answer(operations, request):
    reply = {"id": request["id"]}
    try:
        reply["result"] = await getattr(operations, request["op"])(request)
    except Exception as error:  # whatever went wrong is the answer
        reply["error"] = str(error) or type(error).__name__
    print(json.dumps(reply), flush=True)


async def main():
    operations = Operations()
    lines = asyncio.StreamReader(limit=16 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    asks = set()  # the loop itself holds tasks only weakly
    while line := await lines.readline():
        task = asyncio.create_task(answer(operations, json.loads(line)))
        asks.add(task)
        task.add_done_callback(asks.discard)


asyncio.run(main())
