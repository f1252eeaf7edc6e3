const at = (id) => document.getElementById(id);
const devices = new Devices((words) => { lacks = words; changed(); });
const tiles = new Tiles(at("tiles"), (id) => call.retry(id));
const call = new Call({ state: showState, refused, joined, came, left, stream: streamed, news: told, route: routed, trouble });

const kinds = ["video", "audio"];
const unreached = new Map(); // those to whom there is no route, by id
let lacks = ""; // which devices are not there, in words
let joining = false;

// What the call brings.

function joined() {
  joining = false;
  showState("on");
  if (!tiles.tiles.has("own")) {
    tiles.add("own", call.name, true);
    tiles.list.prepend(tiles.list.lastChild); // those that were here came first
    tiles.stream("own", devices.stream);
    show();
    at("audio").focus();
  }
  announce();
  explain();
}

function came({ id, name }) {
  tiles.add(id, name);
  if (!joining) speak(`${name} has joined.`);
  show();
}

function left({ id, name }) {
  tiles.remove(id);
  unreached.delete(id);
  if (call.inside) speak(`${name} has left.`);
  explain();
  show();
}

function streamed({ id }, stream) {
  tiles.stream(id, stream);
  listen();
}

function told({ id }, news) { tiles.news(id, { audio: news.audio, video: news.video }); }

function routed({ id, name }, state) {
  tiles.route(id, state);
  if (state === "failed") unreached.set(id, name);
  else unreached.delete(id);
  if (state === "connected") speak(`Connected to ${name}.`);
  explain();
}

function trouble(words) { speak(words); }

// listen starts the sound where the browser waits for the user to ask for it.
async function listen() {
  try {
    await tiles.play();
    at("listen").hidden = true;
  } catch (error) {
    if (error.name === "NotAllowedError") at("listen").hidden = false;
  }
}

// announce tells the others, and the user, what they get.
function announce() {
  const news = { audio: devices.on("audio"), video: devices.on("video") };
  call.tell(news);
  tiles.news("own", news);
  at("audio").textContent = news.audio ? "Mute" : "Unmute";
  at("video").textContent = news.video ? "Stop camera" : "Start camera";
}

// What the user does.

async function enter(wanted) {
  if (joining) return;
  const token = at("token").value.trim();
  for (const [id, words] of [["name", "Enter your name first."], ["place", "Enter the name of a room first."], ["token", "Enter an access token first."]]) {
    if (!at(id).value.trim()) return refused(words, id);
  }
  for (const id of ["name", "place", "token"]) at(id).removeAttribute("aria-invalid");
  remember();
  joining = true;
  problem("");
  at("bare").hidden = true;
  show();
  try {
    lacks = await devices.open(wanted);
  } catch (error) {
    joining = false;
    at("bare").hidden = false;
    show();
    problem(error.message);
    return at("bare").scrollIntoView({ block: "nearest" });
  }
  if (!joining) return devices.close(); // cancelled meanwhile
  call.join(token, at("place").value.trim(), at("name").value.trim(), devices.stream);
}

async function toggle(kind) {
  try {
    await devices.toggle(kind);
    lacks = "";
  } catch (error) {
    lacks = error.message;
  }
  changed();
}

// changed shows all what the devices are now.
function changed() {
  if (!call.inside) return;
  call.share();
  tiles.stream("own", devices.stream);
  announce();
  explain();
}

function leave() {
  call.leave();
  out();
  showState("off", "Not in a room");
  at("join").focus();
}

// out brings the user back to the entry.
function out() {
  joining = false;
  lacks = "";
  unreached.clear();
  devices.close();
  tiles.clear();
  problem("");
  show();
}

function refused(words, field) {
  out();
  showState("bad", "Not in a room");
  problem(words);
  at("token-part").hidden = false; // it may be the token that is no good
  if (!field) return at("join").focus();
  at(field).setAttribute("aria-invalid", "true");
  at(field).focus();
}

// What is shown.

function speak(words) { at("spoken").textContent = words; }

function showState(state, words) {
  const inside = call.inside;
  at("state").dataset.state = state;
  if (state === "on") words = `In ${call.room}`;
  else if (state === "wait" && inside) words = "The call goes on; connecting to the server again…";
  at("state").textContent = words;
}

function problem(words) {
  if (at("problem").textContent !== words) at("problem").textContent = words;
  at("problem").hidden = !words;
}

// explain says what does not work at the moment, and why.
function explain() {
  const names = [...unreached.values()].join(", ");
  const relayed = call.servers?.some((server) => server.urls.some((url) => url.startsWith("turn")));
  const reason = relayed ? "A firewall keeps you apart, and the relay can't be reached either." : "A firewall keeps you apart, and this server names no relay (TURN).";
  problem([lacks, names && `There is no route to ${names}. ${reason}`].filter(Boolean).join(" "));
}

function show() {
  const inside = call.inside;
  at("entry").hidden = inside;
  at("room").hidden = at("controls").hidden = !inside;
  at("alone").hidden = tiles.tiles.size > 1;
  at("join").disabled = at("bare").disabled = joining;
  at("join").textContent = joining ? "Joining…" : "Join";
  at("cancel").hidden = !joining;
}

// remember keeps in this tab what was entered, so that it is there after a reload.
function remember() {
  for (const id of ["name", "place", "token"]) sessionStorage.setItem("meet-" + id, at(id).value.trim());
}

at("entry").onsubmit = (event) => {
  event.preventDefault();
  enter(kinds.filter((kind) => at("with-" + kind).checked));
};
at("bare").onclick = () => enter([]);
for (const kind of kinds) at(kind).onclick = () => toggle(kind);
at("listen").onclick = listen;
for (const id of ["leave", "cancel"]) at(id).onclick = leave;
addEventListener("pagehide", () => { if (call.inside) leave(); });

// A token in the fragment never reaches a server; it leaves the address bar, too. The room stays in it.
function arrive() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [name, id] of [["room", "place"], ["name", "name"], ["token", "token"]]) {
    at(id).value = given.get(name) ?? (at(id).value || (sessionStorage.getItem("meet-" + id) ?? ""));
  }
  if (given.has("token")) {
    remember();
    given.delete("token");
    history.replaceState(null, "", `${location.pathname}#${given}`);
  }
  at("token-part").hidden = Boolean(at("token").value);
  (["name", "place", "token"].map(at).find((field) => !field.value) ?? at("join")).focus();
}
addEventListener("hashchange", () => { if (!call.inside && !joining) arrive(); });

arrive();
show();
