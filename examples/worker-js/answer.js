// The worker's side of the protocol in docs/workers.md: everything that is sent has a number and is kept until the session has
// confirmed it, and sent again when it may have been lost.
import { randomUUID } from "node:crypto";

const COALESCE = 25; // ms that a piece of text waits for more; the first one does not
const PATIENCE = 2000; // ms within which something that was sent should have been confirmed
const HEARTBEAT = 3000; // ms of silence after which the session is told that the worker lives
const AGAIN = new Set(["UNAVAILABLE", "DRAINING", "OUTCOME_UNKNOWN", "STORAGE_FULL"]); // codes that pass

export class Answer {
  #nc;
  #unconfirmed = []; // {n, data}, oldest first
  #n = 0; // the number given last
  #text = ""; // waits to be sent
  #later = null; // timer of that
  #pause = 250;
  #resend = null; // timer
  #said = Date.now(); // when something was sent last
  #heard = Date.now(); // when there was an answer last
  #settled = []; // those who wait until everything is confirmed
  #controller = new AbortController();

  constructor(nc, request, name) {
    this.#nc = nc;
    this.request = request;
    this.worker = `${name}/${randomUUID()}`; // unique: an attempt belongs to one delivery of its request
    this.inbox = nc.options.inboxPrefix + "." + randomUUID();
    this.subscriptions = [
      nc.subscribe(this.inbox, { callback: (err, m) => err || this.#reply(m) }),
      nc.subscribe(request.control, { callback: (err, m) => err || this.#control(m.json()) }),
    ];
    this.timer = setInterval(() => this.#look(), 250);
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal() {
    return this.#controller.signal;
  }

  /** Takes the request over. Throws when somebody else has it. */
  async accept() {
    const fresh = !this.request.partial; // the end of a broken answer of which there is nothing would tell nobody anything
    this.#send({ type: "accept", worker: this.worker, continue: this.request.attempt > 1 && fresh });
    await this.confirmed();
  }

  chunk(text) {
    const first = this.#n === 1;
    this.#text += text;
    if (first) this.#flush();
    else this.#later ??= setTimeout(() => this.#flush(), COALESCE);
  }

  toolCall(call_id, tool, args) {
    this.#send({ type: "tool_call", call_id, tool, arguments: args });
  }

  toolResult(call_id, tool, result) {
    this.#send({ type: "tool_result", call_id, tool, result });
  }

  /** Ends the answer. */
  async end({ followUps = [], usage } = {}) {
    if (followUps.length > 0) this.#send({ type: "follow_ups", questions: followUps });
    this.#send({ type: "end", usage });
    await this.confirmed();
  }

  /** Ends the answer with words for the user; with retry, another worker may try. */
  async fail(code, message, retry = false) {
    this.#send({ type: "error", code, message, retry });
    await this.confirmed();
  }

  /** Resolves when the log has everything, rejects when nobody waits for it. */
  confirmed() {
    if (this.signal.aborted) return Promise.reject(this.signal.reason);
    if (this.#unconfirmed.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#settled.push({ resolve, reject }));
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.#later);
    clearTimeout(this.#resend);
    for (const s of this.subscriptions) s.unsubscribe();
  }

  /** Sends everything again that is not confirmed, for instance because the connection was lost. */
  again() {
    clearTimeout(this.#resend);
    this.#resend = null;
    this.#heard = Date.now();
    for (const m of this.#unconfirmed) this.#publish(m.data);
  }

  #flush() {
    clearTimeout(this.#later);
    this.#later = null;
    const text = this.#text;
    this.#text = "";
    if (text !== "") this.#send({ type: "chunk", text });
  }

  #send(fields) {
    if (fields.type !== "chunk") this.#flush();
    if (this.signal.aborted) return;
    const { run, attempt, epoch } = this.request;
    const data = JSON.stringify({ run, attempt, epoch, n: ++this.#n, ...fields });
    if (this.#unconfirmed.length === 0) this.#heard = Date.now();
    this.#unconfirmed.push({ n: this.#n, data });
    if (this.#resend === null) this.#publish(data); // else it follows the others
  }

  #publish(data) {
    this.#said = Date.now();
    this.#nc.publish(this.request.reply_to, data, { reply: this.inbox });
  }

  #reply(m) {
    this.#heard = Date.now();
    if (m.headers?.code === 503) return this.#retry(); // no node listens: it may have died
    const { ok, n = 0, error } = m.json();
    if (!ok && AGAIN.has(error.code)) return this.#retry();
    if (!ok && error.code !== "OUT_OF_ORDER") return this.#abort(error.code);
    const before = this.#unconfirmed.length;
    this.#unconfirmed = this.#unconfirmed.filter((m) => m.n > n);
    if (this.#unconfirmed.length < before) this.#pause = 250;
    if (!ok) return this.#retry();
    if (this.#unconfirmed.length === 0) for (const s of this.#settled.splice(0)) s.resolve();
  }

  #retry() {
    if (this.#resend !== null) return;
    this.#resend = setTimeout(() => this.again(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, 2000);
  }

  #control({ type, run, attempt }) {
    if (type === "stop" && run === this.request.run && attempt === this.request.attempt) this.#abort("stopped");
  }

  #abort(why) {
    this.#unconfirmed = [];
    this.#controller.abort(new Error(why));
    for (const s of this.#settled.splice(0)) s.reject(this.signal.reason);
  }

  #look() {
    const now = Date.now();
    if (now > Date.parse(this.request.deadline)) return this.#abort("the deadline has passed");
    if (this.#nc.isClosed() || this.signal.aborted) return;
    if (this.#unconfirmed.length > 0 && now - this.#heard > PATIENCE) this.again();
    else if (this.#unconfirmed.length === 0 && now - this.#said > HEARTBEAT) {
      const { run, attempt, epoch } = this.request;
      this.#publish(JSON.stringify({ run, attempt, epoch, type: "heartbeat" })); // it has no number
    }
  }
}
