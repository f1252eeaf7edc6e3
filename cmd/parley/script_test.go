package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rogpeppe/go-internal/testscript"

	"parley/admin"
)

// TestMain makes this test binary stand in for parley when a script runs it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"parley": main})
}

// patience is how long a script waits for something that will come.
const patience = 30 * time.Second

// TestScripts runs the command line as people and scripts do, against real servers. In a script, `ready DIR` waits for
// the server on that data directory, `grab VAR` takes the last output into a variable, `await FILE TEXT` waits for a
// text to appear in a file, and `exits STATUS COMMAND…` is exec for a command that has to end with that status, and `chat DIR TOKEN FRAME TEXT` is a user who
// sends a frame and a ping to the server on that data directory and waits for a frame with a text in it. `flood DIR TOKEN
// COUNT TEXT` is an agent who sends so many messages at once, and waits for such a frame.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or every command waits a second before it ends
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "grab": grab, "await": await, "exits": exits, "chat": chat, "flood": flood,
		},
	})
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	file := filepath.Join(ts.MkAbs(args[0]), "admin.url")
	poll(ts, "the server on "+args[0], func() error {
		url, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		resp, err := http.Get(strings.TrimSpace(string(url)) + "/readyz")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

func grab(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: grab VAR")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE TEXT")
	}
	poll(ts, args[1], func() error {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && !strings.Contains(string(b), args[1]) {
			err = errors.New("it is not there: " + string(b))
		}
		return err
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	status := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		status = exit.ExitCode()
	}
	if args[0] != strconv.Itoa(status) {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

func chat(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: chat DIR TOKEN FRAME TEXT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn := dial(ctx, ts, args[0], "/?token="+args[1])
	defer conn.CloseNow()
	ts.Check(conn.Write(ctx, websocket.MessageText, []byte(args[2])))
	ts.Check(conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)))
	hear(ctx, ts, conn, args[3])
}

func flood(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: flood DIR TOKEN COUNT TEXT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	count, err := strconv.Atoi(args[2])
	ts.Check(err)
	conn := dial(ctx, ts, args[0], "/v1/ws?channel_id=general&token="+args[1])
	defer conn.CloseNow()
	for range count {
		ts.Check(conn.Write(ctx, websocket.MessageText, []byte(`{"type":"message","content":"abuse"}`)))
	}
	hear(ctx, ts, conn, args[3])
}

// dial connects to the server on a data directory. The caller closes the connection.
func dial(ctx context.Context, ts *testscript.TestScript, dir, target string) *websocket.Conn {
	url, key, err := admin.Find(ts.MkAbs(dir))
	ts.Check(err)
	client, err := admin.NewClient(url, key)
	ts.Check(err)
	defer client.Close()
	info, err := client.Info(ctx)
	ts.Check(err)
	conn, _, err := websocket.Dial(ctx, "ws://"+info.Listen[0]+target, nil)
	ts.Check(err)
	return conn
}

// hear waits for a frame with a text in it.
func hear(ctx context.Context, ts *testscript.TestScript, conn *websocket.Conn, text string) {
	for {
		_, frame, err := conn.Read(ctx)
		ts.Check(err)
		if strings.Contains(string(frame), text) {
			return
		}
	}
}

func poll(ts *testscript.TestScript, what string, done func() error) {
	deadline := time.Now().Add(patience)
	for {
		err := done()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain for %s: %v", what, err)
		}
		<-time.After(10 * time.Millisecond) // between two looks
	}
}
