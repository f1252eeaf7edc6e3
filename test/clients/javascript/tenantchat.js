// A client of the tenantchat dialect, as web pages and Node.js run it. It does what the clients that are out there do: it knows the
// events by event_type, puts an answer together from its tokens, and takes the content of the end for the answer. It says one thing
// after the other and prints, one JSON object a line, what came of each.
//
//   node tenantchat.js BASE KEY USER CHAT query|headers TEXT...
import { WebSocket } from 'ws';

const [base, key, user, chat, manner, ...texts] = process.argv.slice(2);
const print = (what) => console.log(JSON.stringify(what));

const socket =
  manner === 'headers'
    ? new WebSocket(`${base}/ws/chat`, { headers: { 'X-API-Key': key, 'X-User-ID': user, 'X-Chat-ID': chat } })
    : new WebSocket(`${base}/ws/chat?api_key=${key}&user_id=${user}&chat_id=${chat}`);

let answer = '';
const say = () => {
  if (texts.length === 0) return socket.close();
  const content = texts.shift();
  socket.send(JSON.stringify(texts.length % 2 ? { content, metadata: { category: 'billing' } } : { content }));
};

socket.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  switch (event.event_type) {
    case 'connection_established':
      print({ connected: event.user_id, chat: event.chat_id, tenant: event.tenant_id });
      say();
      break;
    case 'user_created':
      print({ created: event.user_id });
      break;
    case 'message_received':
      print({ received: event.content });
      break;
    case 'message_stream_started':
      answer = '';
      break;
    case 'message_stream_token':
      answer += event.token;
      break;
    case 'message_stream_ended':
      print({ streamed: answer, answer: event.content });
      say();
      break;
    case 'error':
      print({ error: event.error_code, message: event.error_message, fix: event.details.fix });
      break;
  }
};
socket.onclose = ({ code }) => {
  print({ closed: code });
  process.exit(0);
};
