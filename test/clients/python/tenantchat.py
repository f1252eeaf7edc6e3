"""A client of the tenantchat dialect. It does what the clients that are out there do: it knows the events by event_type, puts an
answer together from its tokens, and takes the content of the end for the answer. It says one thing after the other and prints, one
JSON object a line, what came of each.

    python3 tenantchat.py BASE KEY USER CHAT TEXT...
"""

import asyncio
import json
import sys

import websockets


class Chat:
    def __init__(self, texts):
        self.texts = texts
        self.answer = ""

    async def run(self, url):
        async with websockets.connect(url) as self.socket:
            async for message in self.socket:
                await self.handle(json.loads(message))

    async def say(self):
        if not self.texts:
            await self.socket.close()
            return
        await self.socket.send(json.dumps({"content": self.texts.pop(0)}))

    async def handle(self, event):
        kind = event.get("event_type")
        if kind == "connection_established":
            report({"connected": event["user_id"], "chat": event["chat_id"], "tenant": event["tenant_id"]})
            await self.say()
        elif kind == "user_created":
            report({"created": event["user_id"]})
        elif kind == "message_received":
            report({"received": event["content"]})
        elif kind == "message_stream_started":
            self.answer = ""
        elif kind == "message_stream_token":
            self.answer += event["token"]
        elif kind == "message_stream_ended":
            report({"streamed": self.answer, "answer": event["content"]})
            await self.say()
        elif kind == "error":
            report({"error": event["error_code"], "message": event["error_message"], "fix": event["details"]["fix"]})


def report(what):
    print(json.dumps(what), flush=True)


async def main():
    base, key, user, chat, *texts = sys.argv[1:]
    client = Chat(texts)
    try:
        await client.run(f"{base}/ws/chat?api_key={key}&user_id={user}&chat_id={chat}")
    except websockets.exceptions.ConnectionClosed:
        pass
    report({"closed": client.socket.close_code})


asyncio.run(main())
