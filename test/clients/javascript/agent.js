// A client of the agents dialect, as browsers and Node.js run it. It does what the clients that are out there do, frame by frame:
// the token and the channel stand in the query, an answer finds its sender by message_id, whatever is no answer is a message, and
// every close but 1000 is followed by a reconnect with a growing delay.

const ACK_TIMEOUT_MS = 5_000;
const MAX_RECONNECTS = 5;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

export class Agent {
  constructor(base, token, channel = null) {
    this.url = `${base}/ws?token=${token}` + (channel ? `&channel_id=${channel}` : '');
    this.socket = null;
    this.pending = new Map(); // message id -> {resolve, reject, timer}
    this.reconnects = 0;
    this.onMessage = () => {};
    this.onClose = () => {};
  }

  // connect resolves once the socket is open.
  connect() {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(event);
    return new Promise((resolve, reject) => {
      socket.onopen = () => {
        this.reconnects = 0;
        resolve();
      };
      socket.onerror = () => reject(new Error('the connection could not be opened'));
    });
  }

  disconnect() {
    this.socket.close();
  }

  // send resolves with the ACK, and rejects with the text of the ERROR.
  send(content, metadata = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) throw new Error('not connected');
    const id = crypto.randomUUID();
    this.socket.send(JSON.stringify({ id, type: 'message', content, metadata }));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, 'reject', new Error('no acknowledgment in time')), ACK_TIMEOUT_MS);
      this.pending.set(id, { resolve, reject, timer });
    });
  }

  #receive(frame) {
    if (frame.message_id && frame.type === 'ACK') {
      this.#settle(frame.message_id, 'resolve', frame);
    } else if (frame.message_id && frame.type === 'ERROR') {
      this.#settle(frame.message_id, 'reject', new Error(frame.error));
    } else {
      this.onMessage(frame);
    }
  }

  #settle(id, verdict, value) {
    const waiting = this.pending.get(id);
    if (!waiting) return;
    this.pending.delete(id);
    clearTimeout(waiting.timer);
    waiting[verdict](value);
  }

  #closed({ code, reason }) {
    this.onClose({ code, reason });
    for (const id of [...this.pending.keys()]) this.#settle(id, 'reject', new Error('disconnected'));
    if (code === 1000 || this.reconnects >= MAX_RECONNECTS) return;
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.reconnects++);
    setTimeout(() => this.connect().catch(() => {}), delay);
  }
}
