// Peer is the connection to one other participant. Both ends may offer at any time; when they do so at once, the server has
// said which of them is polite and gives way.
//
// It calls on.signal(signal) with what the Peer at the other end has to take, on.stream(stream) with what comes from there,
// on.news(news) with what that one was told to tell, and on.state(state): "connecting", "connected", "lost" or "failed".
// It goes on trying in all of them.
class Peer {
  constructor(servers, on) {
    this.on = on;
    this.polite = true; // until the server has said it
    this.restarts = 0;
    const pc = this.pc = new RTCPeerConnection({ iceServers: servers });
    this.channel = pc.createDataChannel("news", { negotiated: true, id: 0 });
    this.channel.onopen = () => { if (this.last) this.channel.send(this.last); };
    this.channel.onmessage = (event) => on.news(parsed(event.data));
    pc.onnegotiationneeded = () => this.offer();
    pc.onicecandidate = (event) => { if (event.candidate) on.signal({ candidate: event.candidate }); };
    pc.ontrack = (event) => on.stream(event.streams[0] ?? new MediaStream([event.track]));
    pc.onconnectionstatechange = () => this.changed();
    this.expect();
  }

  close() {
    clearTimeout(this.deadline);
    this.pc.close();
  }

  // share sends what is in a stream; of what is sent already nothing changes.
  share(stream) {
    const senders = this.pc.getSenders();
    for (const track of stream.getTracks()) {
      if (senders.some((sender) => sender.track === track)) continue;
      const idle = senders.find((sender) => sender.track?.kind === track.kind && sender.track.readyState === "ended");
      if (idle) idle.replaceTrack(track);
      else this.pc.addTrack(track, stream);
    }
  }

  // tell tells the other end the news, which replace what it was told before.
  tell(news) {
    this.last = JSON.stringify(news);
    if (this.channel.readyState === "open") this.channel.send(this.last);
  }

  // serve replaces the servers by which a route may be found.
  serve(servers) { this.pc.setConfiguration({ iceServers: servers }); }

  // retry looks for another route.
  retry() {
    this.on.state("connecting");
    this.expect();
    this.pc.restartIce();
    if (this.pc.signalingState === "have-local-offer") this.on.signal({ description: this.pc.localDescription }); // it was lost
  }

  async offer() {
    try {
      this.offering = true;
      await this.pc.setLocalDescription();
      this.on.signal({ description: this.pc.localDescription });
    } catch (error) {
      this.puzzled(error);
    } finally {
      this.offering = false;
    }
  }

  // take takes a signal from the other end, with the role that the server gave to this end.
  async take(signal, polite) {
    const pc = this.pc;
    this.polite = polite;
    try {
      if (signal?.description) {
        const offered = signal.description.type === "offer";
        const calm = !this.offering && (pc.signalingState === "stable" || this.settling);
        this.ignoring = offered && !calm && !polite;
        if (this.ignoring) return;
        this.settling = !offered;
        await pc.setRemoteDescription(signal.description); // takes back an offer of one's own
        this.settling = false;
        if (!offered) return;
        await pc.setLocalDescription();
        this.on.signal({ description: pc.localDescription });
      } else if (signal?.candidate) {
        await pc.addIceCandidate(signal.candidate);
      }
    } catch (error) {
      this.settling = false;
      if (!this.ignoring) this.puzzled(error); // candidates of an offer that is ignored belong to nothing
    }
  }

  // puzzled is for signals that make no sense, as those of another program may. The deadline says so to the user.
  puzzled(error) {
    if (this.pc.signalingState !== "closed") console.warn("A signal could not be used:", error);
  }

  changed() {
    switch (this.pc.connectionState) {
      case "connected":
        clearTimeout(this.deadline);
        this.restarts = 0;
        return this.on.state("connected");
      case "disconnected":
        this.expect();
        return this.on.state("lost");
      case "failed":
        if (this.restarts++ === 0) return this.retry();
        clearTimeout(this.deadline);
        return this.on.state("failed");
    }
  }

  // expect says "failed" when there is no connection soon.
  expect() {
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => {
      if (this.pc.connectionState !== "connected") this.on.state("failed");
    }, Peer.patience);
  }
}
Peer.patience = 15000; // milliseconds

// parsed is what another browser has sent, or nothing when it makes no sense.
function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
