// Link is the connection to the broker: it comes back by itself, with growing pauses, until it is told that it should not.
//
// dialect says what is spoken: {path, protocol, welcome}, where welcome is the type of the frame that says that the
// connection is ready, and how patiently, in milliseconds: {opening, every, within, longest}. A try may take opening; the
// other end is asked every so often whether it is there, and answers within so long; longest is the longest pause between
// two tries.
//
// It calls on.state(state, words), on.frame(frame), on.refused(words), after which nobody should try again with this token,
// and on.opened(), if there is such, when the first frame can be sent.
class Link {
  constructor(dialect, on) {
    this.dialect = dialect;
    this.on = on;
    addEventListener("online", () => this.again(0));
  }

  // open connects, and stays connected until close. query is what stands in the URL.
  open(token, query = {}) {
    this.close();
    this.token = token;
    this.query = query;
    this.tries = 0;
    this.connect();
  }

  close() {
    this.token = undefined;
    clearTimeout(this.timer);
    clearInterval(this.beat);
    const socket = this.socket;
    this.socket = undefined;
    socket?.close(1000);
  }

  get up() { return this.ready === true && this.socket?.readyState === WebSocket.OPEN; }

  // send sends one frame. Then, if it is given, stored is called when the broker has carried it out, or refused it: it
  // takes frames one after the other, so that the answer to a ping behind it says so.
  send(frame, stored) {
    this.socket.send(JSON.stringify(frame));
    if (stored) this.ping(stored);
  }

  ping(answered = () => {}) {
    this.pings.push({ answered, since: Date.now() });
    this.send({ type: "ping" });
  }

  connect() {
    clearTimeout(this.timer);
    this.ready = false;
    this.pings = [];
    this.said = undefined;
    this.on.state("wait", this.tries ? "Connecting again…" : "Connecting…");
    const url = new URL(this.dialect.path, location.href.replace(/^http/, "ws"));
    for (const [name, value] of Object.entries(this.query)) url.searchParams.set(name, value);
    // The token travels as a subprotocol, which keeps it out of URLs and of what logs them.
    const socket = new WebSocket(url, [this.dialect.protocol, "base64url.bearer.parley." + base64url(this.token)]);
    this.socket = socket;
    this.timer = setTimeout(() => this.abandon(), this.dialect.opening);
    let opened = false;
    socket.onopen = () => {
      opened = true;
      if (socket === this.socket) this.on.opened?.();
    };
    socket.onmessage = (event) => { if (socket === this.socket) this.take(JSON.parse(event.data)); };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.ready = false;
      clearInterval(this.beat);
      if (opened) this.ended(event);
      else this.inquire();
    };
  }

  take(frame) {
    switch (frame.type) {
      case this.dialect.welcome:
        this.ready = true;
        this.tries = 0;
        clearTimeout(this.timer);
        clearInterval(this.beat);
        this.beat = setInterval(() => this.alive(), Math.min(5000, this.dialect.within));
        this.on.state("on", "Connected");
        break;
      case "pong":
        this.pings.shift()?.answered();
        return;
      case "error":
        if (!this.ready) this.said = [frame.message, frame.fix].filter(Boolean).join(" ");
        break;
    }
    this.on.frame(frame);
  }

  // alive pings now and then, and gives up a connection that does not answer.
  alive() {
    const now = Date.now();
    if (this.pings.length && now - this.pings[0].since > this.dialect.within) {
      this.abandon();
    } else if (!this.pings.length && now - (this.pinged ?? 0) > this.dialect.every) {
      this.pinged = now;
      this.ping();
    }
  }

  abandon() {
    const dead = this.socket;
    this.socket = undefined;
    this.ready = false;
    clearInterval(this.beat);
    dead?.close();
    this.again();
  }

  ended(event) {
    if (event.code === 4001) this.refused("Your token has expired. Connect with a new one.");
    else if (event.code === 1000 || event.code === 1008 || event.code >= 4500) this.refused(this.said ?? `The server ended the connection: ${event.reason || "it says no more"}.`);
    else this.again();
  }

  // inquire asks why a connection was not opened: a browser does not tell.
  async inquire() {
    const token = this.token;
    let words;
    try {
      const answer = await fetch(this.dialect.path, { headers: { Authorization: "Bearer " + token }, cache: "no-store" });
      if ([401, 403, 404].includes(answer.status)) {
        const problem = await answer.json();
        words = [problem.message, problem.fix].filter(Boolean).join(" ");
      }
    } catch {
      // The server is away.
    }
    if (token !== this.token) return;
    if (words) this.refused(words);
    else this.again();
  }

  refused(words) {
    this.close();
    this.on.state("bad", "Not connected");
    this.on.refused(words);
  }

  // again connects after a pause, which grows.
  again(pause = Math.min(this.dialect.longest, 300 * 2 ** this.tries) * (0.5 + Math.random() / 2)) {
    if (!this.token || this.socket?.readyState === WebSocket.OPEN || this.socket?.readyState === WebSocket.CONNECTING) return;
    this.tries++;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), pause);
    this.on.state("wait", navigator.onLine ? `Connection lost; trying again${pause > 1500 ? ` in ${Math.round(pause / 1000)} s` : "…"}` : "Offline");
  }
}

function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
