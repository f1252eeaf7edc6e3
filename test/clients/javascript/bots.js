// A client of the bots dialect, as web pages and Node.js run it. It does what the clients that are out there do: handlers by the type
// of a frame, which it calls `connected` and `disconnected` on its own account, so that the broker must never send those. It says one
// thing after the other in one session and prints, one JSON object a line, what came of each.
//
//   node bots.js BASE TOKEN query|message SESSION TEXT...
import { WebSocket } from 'ws';

const [base, token, manner, session, ...texts] = process.argv.slice(2);
const print = (what) => console.log(JSON.stringify(what));

const handlers = {};
const on = (event, handler) => (handlers[event] ??= []).push(handler);
const emit = (event, data) => (handlers[event] ?? []).forEach((handler) => handler(data));

const socket = new WebSocket(manner === 'query' ? `${base}/ws?token=${token}` : `${base}/ws`);
const send = (type, payload) => socket.send(JSON.stringify({ type, ...payload }));
socket.onopen = () => {
  if (manner !== 'query') send('auth', { token });
  emit('connected');
};
socket.onmessage = ({ data }) => {
  const frame = JSON.parse(data);
  emit(frame.type, frame);
};
socket.onclose = ({ code }) => {
  emit('disconnected', { code });
};

let streamed = '';
const say = () => {
  if (texts.length === 0) return socket.close();
  send('message', { session_id: session, content: texts.shift() });
};
on('connected', () => send('ping'));
on('pong', say);
on('session_created', (frame) => print({ created: frame.session_id }));
on('message', (frame) => print({ message: frame.content, role: frame.role }));
on('bot_typing', (frame) => print({ typing: frame.is_typing }));
on('stream_start', () => (streamed = ''));
on('stream_chunk', (frame) => (streamed += frame.content));
on('tool_call', (frame) => print({ call: frame.tool, arguments: frame.arguments }));
on('tool_result', (frame) => print({ result: frame.tool, value: frame.result }));
on('stream_end', (frame) => {
  print({ streamed, answer: frame.content });
  say();
});
on('error', (frame) => {
  print({ error: frame.code });
  if (frame.code !== 'AUTH_FAILED') say();
});
on('disconnected', ({ code }) => {
  print({ closed: code });
  process.exit(0);
});
