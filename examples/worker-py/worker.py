"""An AI worker without an AI: it counts what it was told, word by word.

    pip install 'nats-py[nkeys]'
    python worker.py nats://127.0.0.1:4222 worker.creds [queue]

The credentials are from: parley creds issue --tenant acme --name counter --role worker
"""

import asyncio
import base64
import json
import re
import sys

import nats
from nats.errors import Error as NATSError

from answer import Answer, Over

CONCURRENCY = 16


async def speak(request):
    """What the worker says to a request. Here a language model would be asked."""
    for n, word in enumerate(request["text"].split(" "), 1):
        yield f"{n}. {word} "
        await asyncio.sleep(0.03)


async def respond(nc, inbox, msg):
    answer = Answer(nc, inbox, json.loads(msg.data), "counter")
    await answer.open()
    try:
        await answer.accept()
        await msg.ack()  # from now on the session sees to it that the request is answered
        async for text in speak(answer.request):
            await answer.chunk(text)
        await answer.end(follow_ups=["Count again, please."])
    except Over as over:  # nobody waits for the answer any more
        if str(over) == "GONE":
            await msg.ack()
        print(f"{answer.request['run']}: {over}", file=sys.stderr)
    except Exception as err:
        print(f"{answer.request['run']}: {err!r}", file=sys.stderr)
        await answer.fail("WORKER_FAILED", "Counting went wrong.")
    finally:
        await answer.close()


def name_of(creds):
    """The name that the credentials were issued to. A worker takes replies below _INBOX.<name> only."""
    token = re.search(r"-----BEGIN NATS USER JWT-----\s+(\S+)", creds).group(1).split(".")[1]
    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["name"]


async def main(url, creds_file, queue="ai"):
    with open(creds_file, encoding="utf-8") as f:
        inbox = "_INBOX." + name_of(f.read())
    nc = await nats.connect(url, user_credentials=creds_file, inbox_prefix=inbox, max_reconnect_attempts=-1)
    pull = await nc.jetstream().pull_subscribe_bind(durable=queue, stream="WORK", inbox_prefix=f"{inbox}.".encode())
    print(f"counting for the queue {queue}", file=sys.stderr, flush=True)
    slots = asyncio.Semaphore(CONCURRENCY)
    running = set()

    async def answer(msg):
        try:
            await respond(nc, inbox, msg)
        finally:
            slots.release()

    while True:
        await slots.acquire()  # no request is taken before there is time for it
        try:
            (msg,) = await pull.fetch(1, timeout=10)
        except (NATSError, asyncio.TimeoutError, ValueError) as err:
            slots.release()
            if not isinstance(err, asyncio.TimeoutError):
                await asyncio.sleep(1)  # the broker is away
            continue
        task = asyncio.create_task(answer(msg))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main(*sys.argv[1:]))
