package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"parley/internal/fakemodel"
	"parley/test/rig"
)

// workerCreds makes a file with credentials for an AI worker.
func (n tenant) workerCreds(name string, more ...string) string {
	n.t.Helper()
	return rig.WriteFile(n.t, name+".creds", []byte(n.creds(name, append([]string{"--role", "worker"}, more...)...)))
}

// answered sends a message and reads the stream that answers it.
func answered(t *testing.T, s *rig.Socket, text string) (answer string, end rig.Frame) {
	t.Helper()
	s.Send(rig.Frame{"type": "chat", "content": text})
	start := awaitType(s, "stream-start")
	for {
		f := s.Next()
		if f.Text("messageId") != start.Text("messageId") {
			t.Fatalf("in the stream of %s came %s", start, f)
		}
		if f.Type() == "stream-end" {
			return answer, f
		}
		answer += f.Text("token")
	}
}

func TestEchoWorker(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme, globex := newTenant(t, server, "acme"), newTenant(t, server, "globex")
	worker := parley.Program(t, nil, "worker", "echo", "--nats", server.NATSURL(), "--rate", "1000",
		"--creds", acme.workerCreds("w"), "--creds", globex.workerCreds("w"))
	for _, n := range []tenant{acme, globex} {
		user, _ := n.chat("ann")
		if answer, end := answered(t, user, "Hello,  "+n.id+" ünï 🎉"); answer != "Hello,  "+n.id+" ünï 🎉" || end.Text("status") != "complete" || end["follow_up_questions"] == nil {
			t.Errorf("%s: %q, %s", n.id, answer, end)
		}
	}
	if code := worker.Stop(); code != 0 {
		t.Errorf("exit status %d:\n%s", code, worker.Log())
	}
}

func TestWorkerRefuses(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	creds, broken := acme.workerCreds("w"), rig.WriteFile(t, "broken.creds", []byte("nothing"))
	tools := rig.WriteFile(t, "tools.yaml", []byte("- {name: a b, subject: x}"))
	nobody := newTenant(t, parley.Start(t, rig.Options{}), "acme").workerCreds("w")
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"no credentials":     {2, []string{"echo"}},
		"broken credentials": {2, []string{"echo", "--creds", broken}},
		"another's":          {3, []string{"echo", "--creds", nobody}},
		"rate":               {2, []string{"echo", "--creds", creds, "--rate", "-1"}},
		"no model":           {2, []string{"openai", "--creds", creds}},
		"no key":             {2, []string{"openai", "--creds", creds, "--model", "m"}},
		"tools":              {2, []string{"openai", "--creds", creds, "--model", "m", "--base-url", "http://127.0.0.1:1/v1", "--tools", tools}},
	} {
		r := parley.Run(t, rig.Command{Args: append([]string{"worker"}, append(c.args, "--nats", server.NATSURL())...)})
		if r.Code != c.code || r.Stderr == "" {
			t.Errorf("%s: exit status %d, want %d\n%s", name, r.Code, c.code, r.Stderr)
		}
	}
}

func TestOpenAIWorker(t *testing.T) {
	t.Parallel()
	const key = "sk-do-not-log"
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	model := fakemodel.New()
	defer model.Close()
	keyFile, system := rig.WriteFile(t, "key", []byte(key+"\n")), rig.WriteFile(t, "system.md", []byte("Be kind."))
	tools := rig.WriteFile(t, "tools.yaml", []byte("- {name: weather, description: The weather., subject: tool.weather, parameters: {type: object}}"))
	worker := parley.Program(t, nil, "worker", "openai", "--nats", acme.NATSURL(), "--creds", acme.workerCreds("w", "--pub", "tool.weather"),
		"--base-url", model.BaseURL(), "--model", "test", "--key-file", keyFile, "--system-file", system, "--tools", tools, "--stall", "2s", "--retries", "1")
	service := acme.service("weather", "--sub", "tool.weather", "--pub", "tool.weather")
	if _, err := service.Subscribe("tool.weather", func(m *nats.Msg) { _ = m.Respond([]byte(`{"sky":"blue"}`)) }); err != nil {
		t.Fatal(err)
	}
	service.Sync()
	log := acme.service("observer").Listen("live.session.*.log")
	ann, _ := acme.chat("ann")

	model.Play(fakemodel.Use(fakemodel.Call{ID: "c1", Name: "weather", Arguments: `{"city":"Zürich"}`}), fakemodel.Split(3, fakemodel.Say("It is ", "blue ", "🎉.")))
	if answer, end := answered(t, ann, "How is the sky?"); answer != "It is blue 🎉." || end.Text("status") != "complete" {
		t.Errorf("%q, %s", answer, end)
	}
	asked := model.Asked()
	if asked[0].Key != key || asked[0].Messages[0].Content != "Be kind." || asked[1].Messages[3].Content != `{"sky":"blue"}` {
		t.Errorf("the model was asked %+v", asked)
	}
	var tool, end rig.Frame
	for end == nil {
		switch e := frameOf(t, log.Next().Data); e.Text("kind") {
		case "tool_result":
			tool = e
		case "end":
			end = e
		}
	}
	if usage, _ := end["usage"].(map[string]any); usage["input_tokens"] != 2.0*fakemodel.PromptTokens || usage["output_tokens"] != 2.0*fakemodel.CompletionTokens {
		t.Errorf("the end is %s", end)
	}
	if !strings.Contains(tool.String(), `"sky":"blue"`) {
		t.Errorf("the result of the tool is %s", tool)
	}

	model.Play(fakemodel.Refuse(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: "+key))
	ann.Send(rig.Frame{"type": "chat", "content": "Hello?"})
	if f := awaitType(ann, "error"); strings.Contains(f.String(), "key") || !strings.Contains(f.String(), "not available") {
		t.Errorf("the user is told %s", f)
	}
	worker.Await("refuses the key")
	model.Play(fakemodel.Cut(false, "So far "), fakemodel.Say("and no further."))
	answer, end := answered(t, ann, "And now?")
	if answer != "So far " || end.Text("status") != "interrupted" {
		t.Errorf("%q, %s", answer, end)
	}
	awaitType(ann, "stream-start")
	if f := ann.Next(); f.Text("token") != "and no further." {
		t.Errorf("then came %s", f)
	}
	if strings.Contains(worker.Log(), key) || strings.Contains(worker.Log(), "And now") {
		t.Errorf("the log has too much:\n%s", worker.Log())
	}
}

// TestJavaScriptWorker runs the worker of examples/worker-js, over a crash of the broker in mid-answer.
func TestJavaScriptWorker(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "examples", "worker-js")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@nats-io")); err != nil {
		t.Fatalf("the packages of the worker are missing: run `make deps`: %v", err)
	}
	testForeignWorker(t, func(creds, url string) *exec.Cmd {
		return exec.Command("node", filepath.Join(dir, "worker.js"), url, creds)
	})
}

// TestPythonWorker does the same with examples/worker-py. Debian has no package of its NATS client, so it can't be asked for.
func TestPythonWorker(t *testing.T) {
	t.Parallel()
	for _, python := range []string{os.Getenv("PARLEY_TEST_PYTHON"), "python3", "/usr/bin/python3"} {
		if python == "" || exec.Command(python, "-c", "import nats, nkeys").Run() != nil {
			continue
		}
		testForeignWorker(t, func(creds, url string) *exec.Cmd {
			return exec.Command(python, filepath.Join("..", "examples", "worker-py", "worker.py"), url, creds)
		})
		return
	}
	t.Log("NOT TESTED: the worker in Python needs nats-py, which is not here: pip install 'nats-py[nkeys]', or name a Python that has it in PARLEY_TEST_PYTHON")
}

// testForeignWorker tests a worker that counts the words of what it is told.
func testForeignWorker(t *testing.T, command func(creds, url string) *exec.Cmd) {
	server := parley.Start(t, rig.Options{Args: []string{"--worker-silence", "5s"}})
	acme := newTenant(t, server, "acme")
	url, addr := server.StableNATS(), server.StableAddr()
	rig.StartProgram(t, command(acme.workerCreds("counter"), url)).Await("counting")
	token := acme.user("ann")
	dial := func() *rig.Socket { return rig.Dial(t, addr, "/?"+rig.Query("token", token)) }
	ann := dial()
	if answer, end := answered(t, ann, "a ünï 🎉"); answer != "1. a 2. ünï 3. 🎉 " || end["follow_up_questions"] == nil {
		t.Errorf("%q, %s", answer, end)
	}

	ann.Send(rig.Frame{"type": "chat", "content": strings.Repeat("w ", 1000)})
	awaitType(ann, "stream-token")
	ann.Send(rig.Frame{"type": "stop"})
	if f := awaitType(ann, "stream-end"); f.Text("status") != "stopped" {
		t.Errorf("a stopped answer ends with %s", f)
	}

	words, want := strings.TrimSpace(strings.Repeat("w ", 60)), ""
	for i := range 60 {
		want += fmt.Sprintf("%d. w ", i+1)
	}
	ann.Send(rig.Frame{"type": "chat", "content": words})
	awaitType(ann, "stream-token")
	server.Kill()
	server.Restart()
	ann = dial()
	got := ""
	for f := awaitType(ann, "stream-start"); f.Type() != "stream-end"; f = ann.Next() {
		got += f.Text("token")
	}
	if got != want {
		t.Errorf("after a crash of the broker: %q, want %q", got, want)
	}
}

// TestWorkersAreKilled kills the worker that answers, twice in each of ten answers, and expects each to be whole.
func TestWorkersAreKilled(t *testing.T) {
	t.Parallel()
	const messages, kills, words = 10, 2, 200
	acme := newTenant(t, parley.Start(t, rig.Options{Args: []string{"--worker-silence", "2s"}}), "acme")
	creds := acme.workerCreds("w")
	workers := map[string]*rig.Program{}
	hire := func(name string) {
		workers[name] = parley.Program(t, nil, "worker", "echo", "--nats", acme.NATSURL(), "--creds", creds, "--name", name, "--rate", "100")
	}
	hire("a")
	hire("b")
	log := acme.service("observer").Listen("live.session.*.log")
	ann, _ := acme.chat("ann")
	for i := range messages {
		ann.Send(rig.Frame{"type": "chat", "content": fmt.Sprintf("/repeat %d word-%d", words, i)})
		for range kills {
			killTheOneWhoAnswers(t, log, workers, hire)
		}
		want := strings.Repeat(fmt.Sprintf("word-%d ", i), words)
		got := ""
		for f := awaitType(ann, "stream-start"); f.Type() != "stream-end"; f = ann.Next() {
			got += f.Text("token")
		}
		if got != strings.TrimSpace(want) {
			t.Fatalf("answer %d is %d bytes, want %d:\n%q", i, len(got), len(want)-1, got)
		}
	}
}

// killTheOneWhoAnswers waits until an answer begins or goes on, lets some of it pass, and replaces its worker.
func killTheOneWhoAnswers(t *testing.T, log *rig.Inbox, workers map[string]*rig.Program, hire func(name string)) {
	t.Helper()
	name, chunks := "", rand.IntN(10)
	for name == "" || chunks > 0 {
		switch e := frameOf(t, log.Next().Data); e.Text("kind") {
		case "start", "resumed":
			name, _, _ = strings.Cut(e.Text("from"), "/")
		case "chunk":
			chunks--
		case "end":
			if name != "" {
				t.Fatal("the answer was over before its worker could be killed")
			}
		}
	}
	workers[name].Kill()
	hire(name)
}
