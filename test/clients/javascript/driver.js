// Turns an Agent into something the tests can call: every operation is a function of plain values.

// Mailbox hands values to whoever waits for them, in order.
class Mailbox {
  #values = [];
  #waiting = [];

  put(value) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(value);
    else this.#values.push(value);
  }

  take() {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

// operations returns the calls that a test may make on one client.
export function operations(Agent) {
  let agent, messages, closes;
  return {
    // connect starts afresh: what an earlier agent still does is nobody's business.
    async connect({ base, token, channel }) {
      const [inbox, ends] = [new Mailbox(), new Mailbox()];
      [agent, messages, closes] = [new Agent(base, token, channel), inbox, ends];
      agent.onMessage = (message) => inbox.put(message);
      agent.onClose = (close) => ends.put(close);
      await agent.connect();
    },
    send: ({ content, metadata }) => agent.send(content, metadata),
    message: () => messages.take(),
    close: () => closes.take(),
    disconnect: async () => agent.disconnect(),
  };
}

// answer runs one request, {id, op, ...arguments}, and never throws.
export async function answer(ops, request) {
  try {
    return { id: request.id, result: (await ops[request.op](request)) ?? null };
  } catch (error) {
    return { id: request.id, error: error.message ?? String(error) };
  }
}
