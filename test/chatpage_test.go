package test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/test/rig"
)

// visitor is a user of the chat page, with the worker that answers him.
type visitor struct {
	*rig.Page
	acme   tenant
	token  string
	worker *aiWorker
}

func visit(t *testing.T) visitor {
	t.Helper()
	// A worker whose test takes its time is not taken for dead.
	server := parley.Start(t, rig.Options{Args: []string{"--chat-page", "--worker-wait", "5m", "--worker-silence", "5m"}})
	acme := newTenant(t, server, "acme")
	token := acme.user("ann")
	v := visitor{rig.OpenPage(t, "http://"+server.StableAddr()+"/#token="+token), acme, token, acme.aiWorker("llm")}
	v.AwaitText("#state", "Connected")
	return v
}

// say types a message and sends it with the Enter key.
func (v visitor) say(text string) {
	v.Await("document.activeElement.id === 'draft'")
	v.Type(text)
	v.Press("Enter", "\r", 0)
	v.AwaitText(".said.user .text", text)
}

// session is the id of ann's only session.
func (v visitor) session(t *testing.T) string {
	t.Helper()
	id := regexpFind(v.acme.MustCLI("session", "list", "--tenant", "acme", "--user", "ann"), `(?m)^(chat-\S+)`)
	if id == "" {
		t.Fatal("ann has no session")
	}
	return id
}

func TestChatPage(t *testing.T) {
	t.Parallel()
	v := visit(t)
	if url := v.Text("location.href"); strings.Contains(url, "token") {
		t.Errorf("the token stays in the address bar: %s", url)
	}
	v.Picture("empty-light")
	v.say("What is Parley?")
	j := v.worker.take()
	v.Await("!document.querySelector('#stop').hidden")
	j.chunk("Parley is a ")
	v.AwaitText(".said.assistant.open .text", "Parley is a ")
	v.Await("!document.querySelector('.said.user.unsent')")
	j.chunk("message broker.\nIt carries **chat**: <b onclick=alert(1)>bold</b><img src=x onerror=\"document.title='broken into'\">")
	v.Picture("streaming-light")
	j.end("Who made it?", "Can I run it myself?")
	v.AwaitText(".said.assistant.done .text", "<img src=x onerror=")
	v.AwaitText("#spoken", "AI: Parley is a message broker.")
	if got := v.Text("document.querySelectorAll('#thread b, #thread img').length - document.querySelectorAll('.who b').length"); got != "0" || v.Text("document.title") != "Chat · Parley" {
		t.Errorf("markup in a message came to life: %s elements", got)
	}
	v.Size(1200, 800)
	v.Picture("answered-light")
	v.Scheme("dark")
	v.Picture("answered-dark")
	v.Scheme("light")
	v.Click("#follow button")
	v.AwaitText(".said.user .text", "Who made it?")
	if got := v.worker.answer("People.").Text; got != "Who made it?" {
		t.Errorf("the follow-up asked %q", got)
	}
	v.AwaitText(".said.assistant.done .text", "People.")
	v.Await("document.querySelector('#follow').hidden")

	// Shift and Enter make a new line, and nothing is sent.
	v.Type("two")
	v.Press("Enter", "\r", 8)
	v.Type("lines")
	v.Await("document.querySelector('#draft').value === 'two\\nlines'")
	v.Press("Enter", "\r", 0)
	if got := v.worker.answer("Indeed.").Text; got != "two\nlines" {
		t.Errorf("the user said %q", got)
	}
	v.AwaitText(".said.assistant.done .text", "Indeed.")
	v.Reload()
	v.AwaitText("#state", "Connected")
	v.AwaitText(".said.user .text", "What is Parley?")
	v.AwaitText(".said.assistant .text", "Indeed.")
	v.Await("document.querySelectorAll('.said').length === 6")
}

func TestChatPageStop(t *testing.T) {
	t.Parallel()
	v := visit(t)
	v.say("Tell me a long story")
	j := v.worker.take()
	j.chunk("Once upon a time")
	v.AwaitText(".said.assistant .text", "Once upon")
	v.Click("#stop")
	v.AwaitText(".said.assistant .after", "Stopped.")
	v.Await("document.querySelector('#stop').hidden && document.activeElement.id === 'draft'")
	if ok, code := j.try(rig.Frame{"type": "chunk", "text": " there was"}); ok || code != "GONE" {
		t.Errorf("the worker went on: %t %s", ok, code)
	}
	v.say("Another")
	v.worker.take().chunk("Twice upon a time")
	v.AwaitText(".said.assistant .text", "Twice upon")
	v.Press("Escape", "", 0)
	v.Await("document.querySelectorAll('.said.assistant.done').length === 2")
}

// TestChatPageReload: an answer goes on where it was, for somebody who reloads in the middle of it, and over a crash of
// the broker.
func TestChatPageReload(t *testing.T) {
	t.Parallel()
	v := visit(t)
	v.say("Count")
	j := v.worker.take()
	j.chunk("one two ")
	v.AwaitText(".said.assistant .text", "one two ")
	v.Reload()
	v.AwaitText(".said.assistant.open .text", "one two ")
	j.chunk("three ")
	v.Await("document.querySelector('.said.assistant .text').textContent === 'one two three '")
	v.acme.Kill()
	v.AwaitText("#state", "trying again")
	v.Picture("lost-light")
	v.Type("And then?")
	v.Press("Enter", "\r", 0)
	v.AwaitText(".said.user.unsent .after", "Waiting for the connection")
	v.acme.Restart()
	v.AwaitText("#state", "Connected")
	v.Await("document.querySelectorAll('.said.user.sent').length === 2")
	j.chunk("four")
	v.Await("document.querySelector('.said.assistant .text').textContent === 'one two three four'")
	j.end()
	v.Await("document.querySelectorAll('.said.assistant.done').length === 1")
	if got := v.worker.answer("Then five.").Text; got != "And then?" {
		t.Errorf("the worker was asked %q", got)
	}
	v.AwaitText(".said.assistant.done .text", "Then five.")
	v.Await("document.querySelectorAll('.said').length === 4")
}

// TestChatPageTells looks at the page as assistive technology does.
func TestChatPageTells(t *testing.T) {
	t.Parallel()
	v := visit(t)
	v.say("Hello")
	v.worker.take().chunk("Hi")
	v.AwaitText(".said.assistant .text", "Hi")
	tree := v.Accessible()
	for _, want := range []string{
		"main Chat", "heading Parley", "StaticText Connected", "region Conversation", "log Messages", "textbox Message",
		"button Send", "button Stop the answer", "button Ask a human", "button Leave", "link Skip to the message field",
	} {
		if !slices.Contains(tree, want) {
			t.Errorf("nothing tells of %q, but %q", want, tree)
		}
	}
	for _, node := range tree {
		if role, name, _ := strings.Cut(node, " "); name == "" && slices.Contains([]string{"button", "textbox", "link", "heading", "log", "region"}, role) {
			t.Errorf("a %s has no name", role)
		}
	}
	v.Await("document.querySelector('#spoken').getAttribute('aria-live') === 'polite'")
}

func TestChatPageHandOff(t *testing.T) {
	t.Parallel()
	v := visit(t)
	v.say("Hello")
	v.worker.answer("Hello, I am the AI.")
	v.AwaitText(".said.assistant.done .text", "Hello, I am the AI.")
	v.Click("#human")
	v.AwaitText(".note", "A human agent will contact you soon.")
	v.Await("document.querySelector('#human').disabled")
	id := v.session(t)
	if queue := v.acme.MustCLI("session", "queue", "--tenant", "acme"); !strings.Contains(queue, id) {
		t.Fatalf("the queue lacks %s:\n%s", id, queue)
	}
	v.acme.MustCLI("session", "claim", "--tenant", "acme", id, "--operator", "otto")
	v.acme.MustCLI("session", "reply", "--tenant", "acme", id, "Hi Ann, this is Otto.", "--operator", "otto")
	v.AwaitText(".said.operator .text", "Hi Ann, this is Otto.")
	v.AwaitText(".note", "A human has joined")
	v.say("Thank you!")
	v.Await("document.querySelector('#busy').hidden")
	v.Picture("human-light")
	v.Scheme("dark")
	v.Picture("human-dark")
	v.Size(360, 640)
	v.Await("document.documentElement.scrollWidth <= 360")
	v.Picture("human-phone-dark")
	v.Scheme("light")
	v.Picture("human-phone-light")
	v.acme.MustCLI("session", "release", "--tenant", "acme", id, "--operator", "otto")
	v.say("Are you back?")
	v.worker.answer("The AI again.")
	v.AwaitText(".note", "The AI answers again.")
	v.AwaitText(".said.assistant.done .text", "The AI again.")
}

// TestChatPageRefused: a token that is no good is told in words, and not tried again and again.
func TestChatPageRefused(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--chat-page"}})
	acme := newTenant(t, server, "acme")
	page := rig.OpenPage(t, server.URL()+"/")
	page.AwaitText("#entry h2", "Connect")
	page.Await("document.activeElement.id === 'token'")
	page.Picture("entry-light")
	page.Type("nonsense")
	page.Press("Enter", "\r", 0)
	page.AwaitText("#problem", "The token is not a JWT")
	page.AwaitText("#state", "Not connected")
	page.Await("document.activeElement.id === 'token' && document.activeElement.getAttribute('aria-invalid') === 'true'")
	page.Picture("refused-light")
	page.Size(360, 640)
	page.Await("document.documentElement.scrollWidth <= 360")
	page.Scheme("dark")
	page.Picture("refused-phone-dark")

	token := acme.user("ann")
	page.Type(token) // the refused one is selected
	page.Press("Enter", "\r", 0)
	page.AwaitText("#state", "Connected")
	page.Await("document.querySelector('#problem').hidden && document.activeElement.id === 'draft'")
	page.Picture("empty-phone-dark")
	page.Type("a secret")
	page.Press("Enter", "\r", 0)
	page.AwaitText(".said.user", "a secret")
	other := acme.user("bob")
	page.Text("location.hash = 'token=" + other + "'")
	page.Await("document.querySelectorAll('.said').length === 0")
	page.AwaitText("#state", "Connected")
	acme.MustCLI("tenant", "suspend", "acme")
	page.AwaitText("#problem", "the tenant is suspended")
	acme.MustCLI("tenant", "resume", "acme")
}

// TestChatPageIsShut: the page is there only where it was asked for, lets no foreign code in, and is no way around tokens.
func TestChatPageIsShut(t *testing.T) {
	t.Parallel()
	without := parley.Start(t, rig.Options{})
	if res := rig.Do(t, "GET", without.URL()+"/", "", ""); res.Status != http.StatusNotFound {
		t.Errorf("without --chat-page: %d", res.Status)
	}
	with := parley.Start(t, rig.Options{Args: []string{"--chat-page"}})
	res := rig.Do(t, "GET", with.URL()+"/?from=a+mail", "", "")
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'", "connect-src 'self' ws://" + with.Addr()} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if res.Status != http.StatusOK || strings.Contains(policy, "unsafe") || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the page: %d %v", res.Status, res.Header)
	}
	if res := rig.DoWith(t, "GET", with.URL()+"/", http.Header{"If-None-Match": {res.Header.Get("ETag")}}, ""); res.Status != http.StatusNotModified {
		t.Errorf("the page for somebody who has it: %d", res.Status)
	}
	if res := rig.Do(t, "GET", with.URL()+"/", "nonsense", ""); res.Status != http.StatusUnauthorized {
		t.Errorf("with a bad token: %d", res.Status)
	}
	if res := rig.Do(t, "POST", with.URL()+"/", "", "{}"); res.Status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", res.Status)
	}
	if s, res := rig.TryDial(t, with.Addr(), "/", nil); s != nil || res.Status != http.StatusUnauthorized {
		t.Errorf("a WebSocket without a token: %d", res.Status)
	}
}

// TestChatPageOfTheDemo opens what dev mode prints, and chats with the worker that is part of it.
func TestChatPageOfTheDemo(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	link := ""
	await(t, "a link to the chat page", func() bool {
		link = regexpFind(server.Log(), `(http://127\.0\.0\.1:\d+/#token=[\w.-]+)\s`)
		return link != ""
	})
	v := visitor{Page: rig.OpenPage(t, link)}
	v.AwaitText("#state", "Connected")
	v.say("/repeat 100 and on")
	v.AwaitText(".said.assistant.open .text", "and on and on")
	v.Reload()
	v.AwaitText(".said.assistant.open .text", "and on and on and on")
	v.Click("#stop")
	v.AwaitText(".said.assistant .after", "Stopped.")
	v.say("hello, parrot")
	v.AwaitText(".said.assistant.done .text", "hello, parrot")
	v.Await("document.querySelectorAll('#follow button').length > 0")
	v.Picture("demo-light")
}
