// An AI worker without an AI: it counts what it was told, word by word.
//
//   npm ci
//   node worker.js nats://127.0.0.1:4222 worker.creds [queue]
//
// The credentials are from: parley creds issue --tenant acme --name counter --role worker
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, credsAuthenticator } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { Answer } from "./answer.js";

const CONCURRENCY = 16;
const [url, credsFile, queue = "ai"] = process.argv.slice(2);

/** What the worker says to a request. Here a language model would be asked. */
async function* speak(request, signal) {
  let n = 0;
  for (const word of request.text.split(" ")) {
    yield `${++n}. ${word} `;
    await sleep(30, undefined, { signal });
  }
}

async function respond(nc, m) {
  const answer = new Answer(nc, m.json(), "counter");
  try {
    await answer.accept();
    m.ack(); // from now on the session sees to it that the request is answered
    for await (const text of speak(answer.request, answer.signal)) {
      answer.signal.throwIfAborted();
      answer.chunk(text);
    }
    await answer.end({ followUps: ["Count again, please."] });
  } catch (err) {
    if (!answer.signal.aborted) await answer.fail("WORKER_FAILED", "Counting went wrong.").catch(() => {});
    else if (answer.signal.reason.message === "GONE") m.ack(); // somebody else has it
    console.error(`${answer.request.run}: ${err.message}`);
  } finally {
    answer.close();
  }
}

/** The name that the credentials were issued to. A worker takes replies below _INBOX.<name> only. */
function nameOf(creds) {
  const token = /-----BEGIN NATS USER JWT-----\s+(\S+)/.exec(creds)[1];
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url")).name;
}

const creds = readFileSync(credsFile);
const nc = await connect({
  servers: url,
  authenticator: credsAuthenticator(creds),
  inboxPrefix: `_INBOX.${nameOf(creds.toString())}`,
  maxReconnectAttempts: -1,
  ignoreAuthErrorAbort: true,
});
const consumer = await jetstream(nc).consumers.get("WORK", queue);
console.error(`counting for the queue ${queue}`);

async function slot() {
  while (!nc.isClosed()) {
    try {
      const m = await consumer.next({ expires: 10_000 });
      if (m) await respond(nc, m);
    } catch (err) {
      await sleep(1000); // the broker is away
    }
  }
}
await Promise.all(Array.from({ length: CONCURRENCY }, slot));
