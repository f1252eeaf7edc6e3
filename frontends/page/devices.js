// Devices are the camera and the microphone of this machine, as far as the user lets the page have them. kind is "video" or
// "audio" throughout. lost(words) is called when one is taken away, say by pulling its plug.
class Devices {
  constructor(lost) {
    this.stream = new MediaStream();
    this.lost = lost;
  }

  // open takes the devices of these kinds. It returns what is wrong, in words, when some of them are not there, and throws
  // words when the user does not allow it: then nothing was taken.
  async open(kinds) {
    if (!kinds.length) return "";
    try {
      await this.take(kinds);
      return "";
    } catch (error) {
      if (denied(error)) throw new Error(excuse(error, kinds));
      if (kinds.length === 1) return excuse(error, kinds);
    }
    // One of them is missing: the browser says so of both.
    const missing = [];
    for (const kind of kinds) {
      try {
        await this.take([kind]);
      } catch (error) {
        missing.push(excuse(error, [kind]));
      }
    }
    return missing.join(" ");
  }

  async take(kinds) {
    if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
    const got = await navigator.mediaDevices.getUserMedia({
      audio: kinds.includes("audio") && { echoCancellation: true, noiseSuppression: true },
      video: kinds.includes("video") && { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24 } },
    });
    for (const track of got.getTracks()) {
      this.stream.addTrack(track);
      track.onended = () => {
        this.stream.removeTrack(track);
        this.lost(`Your ${things([track.kind])} is gone.`);
      };
    }
  }

  track(kind) { return this.stream.getTracks().find((track) => track.kind === kind); }

  // on reports whether others get something from the device.
  on(kind) { return this.track(kind)?.enabled === true; }

  // toggle turns a device on or off. It throws words when it can't be had.
  async toggle(kind) {
    const track = this.track(kind);
    if (track) {
      track.enabled = !track.enabled;
      return;
    }
    try {
      await this.take([kind]);
    } catch (error) {
      throw new Error(excuse(error, [kind]));
    }
  }

  close() {
    for (const track of this.stream.getTracks()) {
      track.stop();
      this.stream.removeTrack(track);
    }
  }
}

// things names devices.
function things(kinds) { return [kinds.includes("video") && "camera", kinds.includes("audio") && "microphone"].filter(Boolean).join(" and "); }

function denied(error) { return ["NotAllowedError", "SecurityError"].includes(error.name); }

// excuse says in words why devices can't be had, and what to do about it.
function excuse(error, kinds) {
  switch (error.name) {
    case "NotAllowedError":
      return `Your browser does not let this page use your ${things(kinds)}. Allow it in the site's settings, beside the address, and try again.`;
    case "SecurityError":
      return `Browsers let a page use your ${things(kinds)} only over https, or from this machine itself.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${things(kinds)} was found: the others can't ${kinds.includes("video") ? "see" : "hear"} you.`;
    default: // NotReadableError, AbortError
      return `Your ${things(kinds)} could not be started. Is another program using it?`;
  }
}
