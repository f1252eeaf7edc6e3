// Tiles are the people in the room, each with a picture or a letter, a name and how the connection is. Names are others'
// words, and only ever set as text.
class Tiles {
  // retry(id) is called when the user wants a connection to be tried again.
  constructor(list, retry) {
    this.list = list;
    this.retry = retry;
    this.tiles = new Map();
  }

  clear() {
    this.tiles.clear();
    this.list.replaceChildren();
    this.count();
  }

  // add shows somebody; own is the user himself.
  add(id, name, own = false) {
    const tile = {
      node: piece("li", "tile"), video: piece("video"), face: piece("span", "face"), plate: piece("div", "plate"),
      name: piece("b", "person"), state: piece("span", "route"), quiet: piece("span", "quiet"), again: piece("button", "again"),
    };
    tile.video.autoplay = tile.video.playsInline = true;
    tile.video.muted = own;
    tile.node.classList.toggle("own", own);
    tile.face.textContent = Array.from(name.trim())[0]?.toUpperCase() ?? "?";
    tile.face.ariaHidden = "true";
    tile.name.textContent = own ? `${name} (you)` : name;
    tile.quiet.textContent = "muted";
    tile.again.type = "button";
    tile.again.textContent = "Try again";
    tile.again.onclick = () => this.retry(id);
    tile.plate.append(tile.name, tile.quiet, tile.state);
    tile.node.append(tile.video, tile.face, tile.plate, tile.again);
    tile.video.ariaLabel = own ? "Your camera" : `Camera of ${name}`;
    this.tiles.set(id, tile);
    this.list.append(tile.node);
    this.news(id, {});
    this.route(id, own ? "connected" : "connecting");
    this.count();
  }

  remove(id) {
    this.tiles.get(id)?.node.remove();
    this.tiles.delete(id);
    this.count();
  }

  stream(id, stream) {
    const video = this.tiles.get(id).video;
    if (video.srcObject !== stream) video.srcObject = stream;
  }

  // news says what somebody lets others see and hear.
  news(id, news) {
    const tile = this.tiles.get(id);
    tile.node.classList.toggle("seen", news.video === true);
    tile.quiet.hidden = news.audio !== false;
  }

  route(id, state, words = { connecting: "connecting…", connected: "", lost: "connection lost…", failed: "no route" }[state]) {
    const tile = this.tiles.get(id);
    tile.node.dataset.route = state;
    tile.state.textContent = words;
    tile.state.hidden = !words;
    tile.again.hidden = state !== "failed";
    tile.again.ariaLabel = `Try again to reach ${tile.name.textContent}`;
  }

  // play starts what the browser did not start by itself; it throws when it still refuses.
  async play() {
    await Promise.all([...this.tiles.values()].filter((tile) => tile.video.srcObject && tile.video.paused).map((tile) => tile.video.play()));
  }

  count() { this.list.dataset.people = Math.min(this.tiles.size, 5); }
}

function piece(tag, name = "") {
  const node = document.createElement(tag);
  node.className = name;
  return node;
}
