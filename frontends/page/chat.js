const at = (id) => document.getElementById(id);
const thread = new Thread(at("thread"), document.querySelector("main"));
const dialect = { path: location.pathname, protocol: "chat", welcome: "connection", opening: 15000, every: 30000, within: 15000, longest: 15000 };
const link = new Link(dialect, { state: showState, frame: take, refused });

let mode = "ai"; // who answers: "ai", "asked" (a human was asked for, the AI goes on) or "human"
let running; // the answer that is being given
let waiting = false; // something was said that has no answer yet

// What the broker sends.

function take(frame) {
  switch (frame.type) {
    case "connection": return connected(frame.session_id);
    case "stream-start": return begin(frame);
    case "stream-token": return grow(frame);
    case "stream-end": return end(frame);
    case "human-escalation-response": return asked(frame.message);
    case "error": return failed(frame);
  }
}

function connected(session) {
  if (thread.session !== session) {
    thread.clear();
    mode = "ai";
  }
  thread.session = session;
  for (const item of thread.items) {
    if (item.state === "unsent") say(item);
  }
  // What was running comes before the answer to this: what does not come was missed.
  const open = new Set(thread.items.filter((item) => item.state === "open"));
  running = undefined;
  fresh.clear();
  link.ping(() => {
    for (const item of open) {
      if (item.state === "open" && !fresh.has(item.id)) thread.set(item, { state: "cut", why: "The rest was missed while you were away." });
    }
    refresh();
  });
  if ([document.body, at("token")].includes(document.activeElement)) at("draft").focus();
  refresh();
}

const fresh = new Set(); // answers that were begun on this connection

function begin(frame) {
  const who = frame.role === "operator" ? "operator" : "assistant";
  if (who === "operator" && mode !== "human") {
    mode = "human";
    note("A human has joined. The AI is silent until they hand back.");
  } else if (who === "assistant" && mode === "human") {
    mode = "ai";
    note("The AI answers again.");
  }
  fresh.add(frame.messageId);
  waiting = false;
  running = thread.find(frame.messageId);
  // An answer that is known already begins anew: the broker sends all of it.
  if (running) thread.set(running, { text: "", state: "open", why: undefined });
  else running = thread.add({ id: frame.messageId, who, text: "", state: "open", at: frame.timestamp });
  suggest([]);
  refresh();
}

function grow(frame) {
  const item = thread.find(frame.messageId);
  if (item) thread.append(item, frame.token);
}

const ends = {
  complete: { state: "done" },
  stopped: { state: "done", why: "Stopped." },
  interrupted: { state: "done", why: "Interrupted." },
  failed: { state: "failed", why: "The answer failed." },
};

function end(frame) {
  const item = thread.find(frame.messageId);
  if (!item) return;
  thread.set(item, ends[frame.status] ?? ends.complete);
  if (running === item) running = undefined;
  suggest(frame.follow_up_questions ?? []);
  speak(`${item.who === "operator" ? "Human" : "AI"}: ${item.text} ${item.why ?? ""}`);
  refresh();
  thread.save(mode);
}

function asked(words) {
  if (mode === "ai") mode = "asked";
  note(words);
  refresh();
}

function failed(frame) {
  const words = [frame.detail || frame.message, frame.fix].filter(Boolean).join(" ");
  const item = frame.id && thread.find(frame.id);
  if (item) thread.set(item, { state: "failed", why: "Not sent: " + words });
  else note(words);
  speak(words);
  waiting = false;
  refresh();
}

// What the user does.

function sendText(text) {
  const item = thread.add({ id: freshID(), who: "user", text, state: "unsent", at: new Date().toISOString() });
  suggest([]);
  if (link.up) say(item);
  else thread.set(item, { why: "Waiting for the connection…" });
  refresh();
}

// say sends what the user said. The broker knows it again by its id, so that it may be sent twice.
function say(item) {
  thread.set(item, { why: "Sending…" });
  if (mode !== "human") waiting = true;
  link.send({ type: "chat", id: item.id, content: item.text }, () => {
    if (item.state === "unsent") thread.set(item, { state: "sent", why: undefined });
    thread.save(mode);
  });
}

function freshID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function stop() {
  if (!link.up || !(running || waiting)) return;
  link.send(running ? { type: "stop", messageId: running.id } : { type: "stop" });
  waiting = false;
  refresh();
  at("draft").focus();
}

function suggest(questions) {
  at("follow").replaceChildren(...questions.map((question) => {
    const button = part("button");
    button.type = "button";
    button.textContent = question;
    button.onclick = () => { sendText(question); at("draft").focus(); };
    return button;
  }));
  at("follow").hidden = questions.length === 0;
  if (questions.length) thread.toEnd();
}

// What is shown.

function note(text) {
  thread.add({ id: freshID(), who: "note", text });
  speak(text);
  thread.save(mode);
}

function speak(text) { at("spoken").textContent = text; }

function showState(state, words) {
  at("state").dataset.state = state;
  at("state").textContent = words;
  refresh();
}

function problem(words) {
  at("problem").textContent = words;
  at("problem").hidden = !words;
}

function refresh() {
  const inside = Boolean(link.token);
  at("entry").hidden = inside;
  for (const id of ["room", "composer", "leave"]) at(id).hidden = !inside;
  at("empty").hidden = thread.items.length > 0;
  at("busy").hidden = !waiting || Boolean(running) || !link.up;
  at("stop").hidden = !(running?.who === "assistant" || waiting);
  at("stop").disabled = !link.up;
  at("human").hidden = !inside;
  at("human").disabled = !link.up || mode !== "ai";
  at("human").textContent = { ai: "Ask a human", asked: "A human was asked", human: "With a human" }[mode];
  at("send").disabled = at("draft").value.trim() === "";
  if (!at("busy").hidden && thread.atEnd()) thread.toEnd();
}

// owner names whose token it is, as far as that can be read.
function owner(token) {
  try {
    const claims = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return JSON.stringify([claims.tenant_id, claims.agent_id ?? claims.sub]);
  } catch {
    return "";
  }
}

function enter(token, session) {
  problem("");
  at("token").removeAttribute("aria-invalid");
  if (sessionStorage.getItem("owner") !== owner(token)) { // nobody finds what somebody else has said
    forget();
    sessionStorage.setItem("owner", owner(token));
  }
  sessionStorage.setItem("token", token);
  if (session) sessionStorage.setItem("session", session);
  else sessionStorage.removeItem("session");
  link.open(token, session ? { session_id: session } : {});
  refresh();
}

function refused(words) {
  sessionStorage.removeItem("token");
  problem(words);
  waiting = false;
  running = undefined;
  refresh();
  at("token").setAttribute("aria-invalid", "true");
  at("token").focus();
  at("token").select();
}

function forget() {
  sessionStorage.clear();
  thread.clear();
  suggest([]);
  mode = "ai";
  waiting = false;
  running = undefined;
}

function leave() {
  link.close();
  forget();
  at("token").value = "";
  showState("off", "Not connected");
  at("token").focus();
}

at("entry").onsubmit = (event) => {
  event.preventDefault();
  const token = at("token").value.trim();
  if (token) enter(token, sessionStorage.getItem("session"));
  else refused("Enter an access token first.");
};
at("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = at("draft").value.trim();
  if (text === "") return;
  at("draft").value = "";
  sendText(text);
};
at("draft").oninput = refresh;
at("draft").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("composer").requestSubmit();
  }
};
document.onkeydown = (event) => { if (event.key === "Escape") stop(); };
at("stop").onclick = stop;
at("human").onclick = () => {
  link.send({ type: "human-escalation", reason: "The user asks for a human." });
  at("draft").focus();
};
at("leave").onclick = leave;
at("skip").onclick = (event) => {
  event.preventDefault();
  (link.token ? at("draft") : at("token")).focus();
};
addEventListener("pagehide", () => { if (link.token) thread.save(mode); });

// A token in the fragment never reaches a server; it leaves the address bar, too.
function arrive() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("token")) return false;
  history.replaceState(null, "", location.pathname);
  at("token").value = given.get("token");
  enter(given.get("token"), given.get("session"));
  return true;
}
addEventListener("hashchange", arrive);

if (!arrive() && sessionStorage.getItem("token")) enter(sessionStorage.getItem("token"), sessionStorage.getItem("session"));
if (link.token) mode = thread.restore() ?? "ai";
else at("token").focus();
refresh();
