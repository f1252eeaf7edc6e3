// The client under Node.js: one request a line on standard input, one answer a line on standard output, in the order they are ready.
// It ends when its input does.
import readline from 'node:readline';
import { WebSocket } from 'ws';
import { Agent } from './agent.js';
import { answer, operations } from './driver.js';

globalThis.WebSocket = WebSocket;

const ops = operations(Agent);
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => console.log(JSON.stringify(await answer(ops, JSON.parse(line)))));
lines.on('close', () => process.exit(0));
