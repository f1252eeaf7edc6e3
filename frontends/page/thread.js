// Thread is what has been said, on the screen and in this tab's storage, so that it is there after a reload. Whatever
// others have said is only ever set as text.
class Thread {
  constructor(list, scroller) {
    this.list = list;
    this.scroller = scroller;
    this.clear();
  }

  clear() {
    this.session = undefined;
    this.items = [];
    this.nodes = new Map();
    this.list.replaceChildren();
  }

  find(id) { return this.items.find((item) => item.id === id); }

  // add appends {id, who, text, state, why, at}. who is "user", "assistant", "operator" or "note".
  add(item) {
    const follows = this.atEnd();
    this.items.push(item);
    if (this.items.length > 300) this.nodes.get(this.items.shift().id)?.remove();
    const node = document.createElement("li");
    node.append(...(item.who === "note" ? [part("span", "")] : [label(item), part("div", "text"), part("div", "after")]));
    this.nodes.set(item.id, node);
    this.list.append(node);
    this.show(item);
    if (follows || item.who === "user") this.toEnd();
    return item;
  }

  // set changes an item.
  set(item, change) {
    const follows = this.atEnd();
    Object.assign(item, change);
    this.show(item);
    if (follows) this.toEnd();
  }

  append(item, words) {
    const follows = this.atEnd();
    item.text += words;
    this.nodes.get(item.id).querySelector(".text").append(words);
    if (follows) this.toEnd();
  }

  show(item) {
    const node = this.nodes.get(item.id);
    if (item.who === "note") {
      node.className = "note";
      node.firstChild.textContent = item.text;
      return;
    }
    node.className = `said ${item.who} ${item.state ?? ""}`;
    node.querySelector(".text").textContent = item.text;
    const after = node.querySelector(".after");
    after.textContent = item.why ?? "";
    after.hidden = !item.why;
    after.classList.toggle("bad", item.state === "failed");
  }

  atEnd() { return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 80; }

  toEnd() { this.scroller.scrollTop = this.scroller.scrollHeight; }

  save(mode) {
    try {
      sessionStorage.setItem("thread", JSON.stringify({ session: this.session, mode, items: this.items }));
    } catch {
      // Without storage a reload begins with nothing.
    }
  }

  // restore shows what was saved, and returns the mode that was saved with it.
  restore() {
    const saved = JSON.parse(sessionStorage.getItem("thread") ?? "null");
    if (!saved) return undefined;
    this.session = saved.session;
    for (const item of saved.items) this.add(item);
    return saved.mode;
  }
}

function part(tag, name) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  return node;
}

function label(item) {
  const who = part("div", "who"), name = part("b"), at = part("time");
  name.textContent = { user: "You", assistant: "AI", operator: "Human" }[item.who];
  at.dateTime = item.at;
  at.textContent = new Date(item.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  who.append(name, " ", at);
  return who;
}
