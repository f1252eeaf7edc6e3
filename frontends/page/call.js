// Call is being in a room: the connection to the broker, and to each of the others.
//
// It calls on.state(state, words) with how the connection to the broker is, on.refused(words) when there is no coming in or
// back, on.joined() once inside, on.came(other) and on.left(other) as others, {id, name}, come and go, and of each of them
// on.stream(other, stream), on.news(other, news) and on.route(other, state), as Peer does. on.trouble(words) is for what
// went wrong and changes nothing.
class Call {
  constructor(on) {
    this.on = on;
    this.others = new Map(); // by id; each {id, name, peer}, the last not from the beginning
    this.unsent = [];
    const dialect = { path: "/ws/meet", protocol: "meet", welcome: "joined", opening: 6000, every: 15000, within: 8000, longest: 3000 };
    this.link = new Link(dialect, {
      state: on.state,
      opened: () => this.ask(),
      frame: (frame) => this.take(frame),
      refused: (words) => this.end(words),
    });
  }

  get inside() { return Boolean(this.id); }

  // join asks to come in. stream is what the others get; it may grow.
  join(token, room, name, stream) {
    Object.assign(this, { room, name, stream });
    this.link.open(token);
  }

  leave() {
    if (this.link.up) this.link.send({ type: "leave", room_id: this.room });
    this.end();
  }

  // end forgets everything. words say why it was not the user who wanted it.
  end(words) {
    this.link.close();
    this.forget();
    if (words) this.on.refused(words);
  }

  forget() {
    this.id = this.pass = this.last = undefined;
    this.unsent = [];
    for (const id of [...this.others.keys()]) this.part(id);
  }

  // share has all others get what the stream has now.
  share() {
    for (const { peer } of this.others.values()) peer?.share(this.stream);
  }

  // tell tells the news to all others, also to those that come later.
  tell(news) {
    this.news = news;
    for (const { peer } of this.others.values()) peer?.tell(news);
  }

  retry(id) { this.peer(this.others.get(id)).retry(); }

  // ask asks to come in, or back: the pass is the proof of who was here before, and last the number of the last signal that
  // has arrived.
  ask() {
    const again = this.id ? { participant_id: this.id, resume_token: this.pass, last_seq: this.last } : {};
    this.link.send({ type: "join", room_id: this.room, participant_name: this.name, ...again });
  }

  take(frame) {
    switch (frame.type) {
      case "joined": return this.joined(frame);
      case "participant_joined": return this.meet(frame.participant);
      case "participant_left": return frame.participant.participant_id === this.id ? this.removed(frame) : this.part(frame.participant.participant_id);
      case "signal": return this.signalled(frame);
      case "error": return this.failed(frame);
    }
  }

  joined(frame) {
    const back = frame.resumed === true && this.id === frame.participant_id;
    const unsent = back ? this.unsent : [];
    if (!back) this.forget(); // everybody here meets somebody new
    this.id = frame.participant_id;
    this.room = frame.room_id;
    this.pass = frame.resume_token;
    this.servers = frame.ice_servers ?? [];
    this.unsent = [];
    const here = frame.participants.filter((one) => one.participant_id !== this.id);
    for (const id of [...this.others.keys()]) {
      if (!here.some((one) => one.participant_id === id)) this.part(id);
    }
    for (const one of here) {
      const other = this.meet(one);
      if (!back) this.peer(other); // who comes offers; the others wait for it
      else other.peer?.serve(this.servers);
    }
    this.on.joined();
    for (const { id, signal } of unsent) this.signal(id, signal);
  }

  meet({ participant_id: id, participant_name: name }) {
    if (id === this.id) return undefined;
    let other = this.others.get(id);
    if (!other) {
      other = { id, name };
      this.others.set(id, other);
      this.on.came(other);
      other.alone = setTimeout(() => this.peer(other), Peer.patience / 3); // it does not offer
    }
    return other;
  }

  part(id) {
    const other = this.others.get(id);
    if (!other) return;
    this.others.delete(id);
    clearTimeout(other.alone);
    other.peer?.close();
    this.on.left(other);
  }

  // removed is told that somebody has decided that the user is not in this room any more.
  removed(frame) {
    if (frame.reason === "moved") { // and is welcomed in the other room next
      for (const id of [...this.others.keys()]) this.part(id);
      return undefined;
    }
    return this.end({ kicked: "You were removed from the room.", closed: "The room was closed." }[frame.reason] ?? "You are not in the room any more.");
  }

  // peer returns the connection to another, which begins when it is first asked for.
  peer(other) {
    clearTimeout(other.alone);
    if (other.peer) return other.peer;
    other.peer = new Peer(this.servers, {
      signal: (signal) => this.signal(other.id, signal),
      stream: (stream) => this.on.stream(other, stream),
      news: (news) => this.on.news(other, news),
      state: (state) => this.on.route(other, state),
    });
    other.peer.share(this.stream);
    other.peer.tell(this.news);
    return other.peer;
  }

  // signal sends one signal, once the broker can be reached.
  signal(id, signal) {
    if (this.link.up) this.link.send({ type: "signal", room_id: this.room, target_id: id, signal });
    else if (this.others.has(id)) this.unsent.push({ id, signal });
  }

  signalled(frame) {
    this.last = frame.seq;
    const other = this.others.get(frame.sender_id);
    if (other) this.peer(other).take(frame.signal, frame.polite);
  }

  failed(frame) {
    const words = [frame.message, frame.fix].filter(Boolean).join(" ");
    if (this.inside && !this.link.ready && ["PARTICIPANT_NOT_FOUND", "PERMISSION_DENIED"].includes(frame.code)) { // too late to come back
      this.forget();
      return this.ask();
    }
    if (!this.inside) return this.end(words);
    if (frame.code !== "PARTICIPANT_NOT_FOUND") this.on.trouble(words); // that it has left is said, too
    return undefined;
  }
}
