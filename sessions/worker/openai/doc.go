// Package openai is an AI worker that has messages answered by a language model: OpenAI's, or any server that speaks the
// same chat completions, streaming. A Model streams what the model says into the session, lets it use tools, and sees to
// what goes wrong: it waits as long as a busy server asks, notices when a stream stands still or breaks off, and drops
// the oldest part of a conversation that is too long. What the server says of a failure is for the operator's log only.
//
// What users write reaches the model as their messages and nowhere else, never as instructions. Everything exported may be
// called concurrently.
package openai
