package sessions

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/broker/brokertest"
	"parley/internal/fault"
)

func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestConversation(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	w := b.worker("w")
	b.say(id, "hello")
	j := w.take()
	if j.Text != "hello" || j.User != "ann" || len(j.History) != 1 {
		t.Errorf("request %+v", j.Request)
	}
	j.accept()
	j.chunk("hi ")
	j.send("tool_call", map[string]any{"tool": "look", "call_id": "1", "arguments": map[string]int{"x": 1}})
	j.send("tool_result", map[string]any{"tool": "look", "call_id": "1", "result": 2})
	j.chunk("there")
	j.send("follow_ups", map[string]any{"questions": []string{"why?"}})
	j.send("end", map[string]any{"usage": map[string]int{"input_tokens": 3, "output_tokens": 4}})
	end := r.await(t, Ended, 1)
	if end.Usage == nil || end.Usage.Output != 4 {
		t.Errorf("usage %+v", end.Usage)
	}
	b.say(id, "more")
	j = w.answer("yes")
	if len(j.History) != 3 || j.History[1].Role != Assistant || j.History[1].Text != "hi there" {
		t.Errorf("history %+v", j.History)
	}
	r.await(t, Ended, 2)
	check(t, r.lines(), `created
message user hello
start assistant
chunk hi 
tool_call look {"x":1}
tool_result look 2
chunk there
end assistant complete hi there ["why?"]
message user more
start assistant
chunk yes
end assistant complete yes`)
	for i, e := range r.copied() {
		if e.Index != uint64(i+1) {
			t.Errorf("event %d has index %d", i+1, e.Index)
		}
	}
	page, total, err := b.hub.History(t.Context(), b.user, id, 1, 2, false)
	if err != nil || total != 4 || len(page) != 2 || page[0].Text != "hi there" || page[1].Text != "more" {
		t.Errorf("history %d %v: %s", total, err, script(page))
	}
}

// TestNewestHistory holds what the log's state points to against a walk through all of it.
func TestNewestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	w := b.worker("w")
	r, f := b.follow(id)
	defer f.Close()
	const talks = 13
	for i := range talks {
		m := b.say(id, fmt.Sprint("message ", i))
		if i%4 == 3 { // never answered, which is no message
			if err := b.hub.Stop(t.Context(), b.user, id, m.ID); err != nil {
				t.Fatal(err)
			}
			if r := w.take().try("accept", map[string]any{"worker": "w"}); r.OK {
				t.Error("a stopped request was accepted")
			}
			continue
		}
		w.answer("answer ", fmt.Sprint(i))
	}
	r.await(t, Ended, talks)
	all, total, err := b.hub.History(t.Context(), b.user, id, 0, 1000, false)
	if err != nil || total != len(all) {
		t.Fatal(total, len(all), err)
	}
	slices.Reverse(all)
	for offset := range total + 1 {
		for _, limit := range []int{1, 2, 7, recentMessages, 100} {
			page, n, err := b.hub.History(t.Context(), b.user, id, offset, limit, true)
			want := all[offset:min(offset+limit, total)]
			if err != nil || n != total || script(page) != script(want) {
				t.Fatalf("offset %d, limit %d: %d %v\n%s\nwant\n%s", offset, limit, n, err, script(page), script(want))
			}
		}
	}
}

func TestAnswersComeOneAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	for i := range maxPending {
		b.say(id, fmt.Sprint(i))
	}
	if _, _, err := b.hub.Say(t.Context(), b.user, id, Utterance{Text: "too much"}); fault.CodeOf(err) != fault.LimitExceeded {
		t.Errorf("one more: %v", err)
	}
	w := b.worker("w")
	for i := range maxPending {
		if j := w.answer("a"); j.Text != fmt.Sprint(i) {
			t.Errorf("request %d was for %q", i, j.Text)
		}
	}
	r.await(t, Ended, maxPending)
}

func TestRepetitionIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	for i := range 3 {
		e, duplicate, err := b.hub.Say(t.Context(), b.user, id, Utterance{ID: "m1", Text: "hello"})
		if err != nil || duplicate != (i > 0) || e.ID != "m1" {
			t.Errorf("time %d: %v %v %v", i, e, duplicate, err)
		}
		if i == 1 {
			b.restart()
		}
	}
	if o, err := b.hub.Info(t.Context(), b.user, id); err != nil || o.State.Messages != 1 {
		t.Errorf("%+v %v", o, err)
	}
}

func TestResumeInMidAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	b.say(id, "go")
	j := b.worker("w").take()
	j.accept()
	j.chunk("one ")
	j.chunk("two ")
	r, f := b.follow(id)
	defer f.Close()
	if a := r.begin.Answer; a == nil || a.Text != "one two " || a.Run != j.Run {
		t.Fatalf("snapshot %+v", a)
	}
	j.chunk("three")
	j.send("end", nil)
	if end := r.await(t, Ended, 1); end.Text != "one two three" || r.text() != end.Text {
		t.Errorf("end %q, told %q", end.Text, r.text())
	}
}

func TestRestartInMidAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	b.say(id, "go")
	w := b.worker("w")
	j := w.take()
	j.accept()
	j.chunk("one ")
	b.restart()
	// The worker's connection points to a port that is gone; one to the new port goes on where it was.
	j.nc = b.service("w2")
	r, f := b.follow(id)
	defer f.Close()
	j.n-- // as if the answer to the last message had been lost
	j.chunk("one ")
	j.chunk("two")
	j.send("end", nil)
	if end := r.await(t, Ended, 1); end.Text != "one two" || r.text() != "one two" {
		t.Errorf("end %q, told %q", end.Text, r.text())
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	w := b.worker("w")
	m := b.say(id, "go")
	b.say(id, "next")
	j := w.take()
	control, err := j.nc.SubscribeSync(j.Control)
	if err != nil {
		t.Fatal(err)
	}
	j.accept()
	j.chunk("one ")
	if err := b.hub.Stop(t.Context(), b.user, id, m.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := control.NextMsg(patience); err != nil {
		t.Errorf("the worker was not told: %v", err)
	}
	if r := j.try("chunk", map[string]any{"text": "late"}); r.OK || r.Error.Code != fault.Gone {
		t.Errorf("late chunk: %+v", r)
	}
	w.answer("yes")
	r.await(t, Ended, 2)
	check(t, r.lines(), `created
message user go
message user next
start assistant
chunk one 
end assistant stopped one 
start assistant
chunk yes
end assistant complete yes`)
}

func TestWorkerDies(t *testing.T) {
	t.Parallel()
	for name, continues := range map[string]bool{"begins anew": false, "goes on": true} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Config{WorkerSilence: 300 * time.Millisecond})
			id := b.session()
			r, f := b.follow(id)
			defer f.Close()
			b.say(id, "go")
			dead := b.worker("dead").take()
			dead.accept()
			dead.chunk("one ")
			j := b.worker("heir").take()
			if j.Attempt != 2 || j.Partial != "one " || j.Run != dead.Run {
				t.Fatalf("request %+v", j.Request)
			}
			j.send("accept", map[string]any{"worker": "heir", "continue": continues})
			if r := dead.try("chunk", map[string]any{"text": "late"}); r.OK || r.Error.Code != fault.Gone {
				t.Errorf("the dead one's chunk: %+v", r)
			}
			want := "start assistant\nchunk one \nend assistant interrupted one \nstart assistant\nchunk two\nend assistant complete two"
			if continues {
				want = "start assistant\nchunk one \nresumed assistant\nchunk two\nend assistant complete one two"
			}
			j.chunk("two")
			j.send("end", nil)
			r.await(t, Ended, map[bool]int{true: 1, false: 2}[continues])
			check(t, r.lines(), "created\nmessage user go\n"+want)
		})
	}
}

func TestWorkerGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	b.say(id, "go")
	w := b.worker("w")
	first := w.take()
	first.accept()
	first.chunk("one ")
	first.chunk("two ")
	giveUp := map[string]any{"n": first.n + 1, "code": "DRAINING", "retry": true}
	first.send("error", giveUp)
	if r := first.try("error", giveUp); r.OK || r.Error.Code != fault.Gone {
		t.Errorf("said once more: %+v", r)
	}
	second := w.take()
	if second.Attempt != 2 || second.Partial != "one two " {
		t.Fatalf("request %+v", second.Request)
	}
	second.accept() // has a number that the first one has used, too
	second.chunk("three")
	second.send("end", nil)
	r.await(t, Ended, 2)
	check(t, r.lines(), "created\nmessage user go\nstart assistant\nchunk one two \nend assistant interrupted one two \nstart assistant\nchunk three\nend assistant complete three")
}

func TestAllWorkersDie(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{WorkerSilence: 100 * time.Millisecond})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	b.say(id, "go")
	w := b.worker("w")
	for range maxAttempts {
		w.take().accept()
	}
	if end := r.await(t, Ended, maxAttempts); end.Status != Failed || end.Error.Code != fault.WorkerLost {
		t.Errorf("end %s", script([]*Event{end}))
	}
}

func TestNoWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{WorkerWait: 100 * time.Millisecond})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	b.say(id, "anybody?")
	r.await(t, Ended, 1)
	check(t, r.lines(), "created\nmessage user anybody?\nend assistant failed NO_WORKER")
	// A worker that comes too late is told so.
	w := b.worker("w")
	b.say(id, "now?")
	for j := w.take(); ; j = w.take() {
		if j.Text == "now?" {
			j.accept()
			j.send("end", nil)
			break
		}
		if r := j.try("accept", map[string]any{"worker": "w"}); r.OK || r.Error.Code != fault.Gone {
			t.Errorf("accept of what has failed: %+v", r)
		}
	}
	r.await(t, Ended, 2)
}

func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	b.say(id, "go")
	j := b.worker("w").take()
	if r := j.try("chunk", map[string]any{"text": "early"}); r.OK || r.Error.Code != fault.Gone {
		t.Errorf("before accept: %+v", r)
	}
	j.accept()
	if r := j.try("chunk", map[string]any{"text": "x", "n": 3}); r.OK || r.Error.Code != fault.OutOfOrder || r.N != 1 {
		t.Errorf("ahead: %+v", r)
	}
	j.chunk("a")
	if r := j.try("chunk", map[string]any{"text": "a", "n": 2}); !r.OK || r.N != 2 {
		t.Errorf("once more: %+v", r)
	}
	if r := j.try("nonsense", nil); r.OK || r.Error.Code != fault.InvalidFormat {
		t.Errorf("nonsense: %+v", r)
	}
	j.send("heartbeat", nil)
	j.send("end", nil)
	if r := j.try("end", map[string]any{"n": 3}); !r.OK || r.N != 3 {
		t.Errorf("end once more: %+v", r)
	}
}

func TestHandOff(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	w := b.worker("w")
	op := b.operator("otto")
	b.say(id, "help")
	j := w.take()
	j.accept()
	j.chunk("one ")
	if err := b.hub.Escalate(t.Context(), b.user, id, "angry"); err != nil {
		t.Fatal(err)
	}
	if err := b.hub.Escalate(t.Context(), b.user, id, "angry"); err != nil {
		t.Fatal(err)
	}
	if q, err := b.hub.Queue(t.Context(), op); err != nil || len(q) != 1 || q[0].ID != id {
		t.Errorf("queue %+v %v", q, err)
	}
	if _, _, err := b.hub.Say(t.Context(), op, id, Utterance{Text: "me?"}); fault.CodeOf(err) != fault.PermissionDenied {
		t.Errorf("reply before claim: %v", err)
	}
	if err := b.hub.Claim(t.Context(), b.user, id); fault.CodeOf(err) != fault.PermissionDenied {
		t.Errorf("claim by a user: %v", err)
	}
	if err := b.hub.Claim(t.Context(), op, id); err != nil {
		t.Fatal(err)
	}
	if err := b.hub.Claim(t.Context(), b.operator("olga"), id); fault.CodeOf(err) != fault.AlreadyExists {
		t.Errorf("claim by another: %v", err)
	}
	if r := j.try("chunk", map[string]any{"text": "late"}); r.OK || r.Error.Code != fault.Gone {
		t.Errorf("the AI's old epoch: %+v", r)
	}
	if q, err := b.hub.Queue(t.Context(), op); err != nil || len(q) != 0 {
		t.Errorf("queue %+v %v", q, err)
	}
	b.say(id, "are you human?")
	if _, _, err := b.hub.Say(t.Context(), op, id, Utterance{Text: "yes"}); err != nil {
		t.Fatal(err)
	}
	if err := b.hub.Release(t.Context(), op, id); err != nil {
		t.Fatal(err)
	}
	b.say(id, "thanks")
	w.answer("bye")
	if err := b.hub.Close(t.Context(), b.user, id, "done"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.hub.Say(t.Context(), b.user, id, Utterance{Text: "?"}); fault.CodeOf(err) != fault.SessionClosed {
		t.Errorf("say in a closed session: %v", err)
	}
	r.await(t, Closed, 1)
	check(t, r.lines(), `created
message user help
start assistant
chunk one 
escalated user angry
end assistant interrupted one 
claimed operator
message user are you human?
message operator yes
released operator
message user thanks
start assistant
chunk bye
end assistant complete bye
closed done`)
}

// TestNobodyElse tries every door of the Hub with a stranger of the same tenant and one of another.
func TestNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	b.say(id, "secret")
	other := brokertest.NewAccount(t, "other", b.Node)
	ctx := t.Context()
	for name, p := range map[string]Principal{
		"another user":   {Tenant: "acme", Account: b.account, User: "bob"},
		"another tenant": {Tenant: "other", Account: other, User: "ann"},
		"its operator":   {Tenant: "other", Account: other, User: "otto", Operator: true},
	} {
		for door, try := range map[string]func() error{
			"follow":   func() error { _, err := b.hub.Follow(ctx, p, id, newReader()); return err },
			"info":     func() error { _, err := b.hub.Info(ctx, p, id); return err },
			"history":  func() error { _, _, err := b.hub.History(ctx, p, id, 0, 9, false); return err },
			"events":   func() error { return b.hub.Events(ctx, p, id, 0, func(*Event) bool { t.Error("read"); return false }) },
			"say":      func() error { _, _, err := b.hub.Say(ctx, p, id, Utterance{Text: "x"}); return err },
			"stop":     func() error { return b.hub.Stop(ctx, p, id, "") },
			"escalate": func() error { return b.hub.Escalate(ctx, p, id, "") },
			"release":  func() error { return b.hub.Release(ctx, p, id) },
			"close":    func() error { return b.hub.Close(ctx, p, id, "") },
			"delete":   func() error { return b.hub.Delete(ctx, p, id) },
			"type":     func() error { return b.hub.Type(ctx, p, id, "", true) },
			"feedback": func() error { return b.hub.Feedback(ctx, p, id, nil) },
			"claim":    func() error { return b.hub.Claim(ctx, p, id) },
		} {
			err := try()
			if fault.CodeOf(err) != fault.NotFound || fault.Message(err) != fmt.Sprintf("There is no session %q.", id) {
				t.Errorf("%s, %s: %v", name, door, err)
			}
		}
		page, total, err := b.hub.List(ctx, p, p.User, 0, 9)
		if err != nil || total != 0 || len(page) != 0 {
			t.Errorf("%s, list: %v %d %v", name, page, total, err)
		}
	}
	if _, _, err := b.hub.Create(ctx, Principal{Account: b.account, User: "bob"}, Spec{ID: id}); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("create what is somebody else's: %v", err)
	}
	if _, _, err := b.hub.List(ctx, Principal{Account: b.account, User: "bob"}, "ann", 0, 9); fault.CodeOf(err) != fault.PermissionDenied {
		t.Errorf("list somebody else's: %v", err)
	}
}

// TestCreateAgainLists makes a session whose maker died before it was in the user's list.
func TestCreateAgainLists(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	info, err := b.hub.Info(t.Context(), b.user, id)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.hub.spaces.Acquire(t.Context(), b.account)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.records.Delete(t.Context(), listKey(info.Info)); err != nil {
		t.Fatal(err)
	}
	if _, created, err := b.hub.Create(t.Context(), b.user, Spec{ID: id}); err != nil || created {
		t.Fatalf("created %t, %v", created, err)
	}
	if _, total, err := b.hub.List(t.Context(), b.user, "ann", 0, 9); err != nil || total != 1 {
		t.Fatalf("%d listed, %v", total, err)
	}
}

func TestListAndDelete(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	first, second := b.session(), b.session()
	b.say(second, "x")
	page, total, err := b.hub.List(t.Context(), b.user, "ann", 0, 1)
	if err != nil || total != 2 || len(page) != 1 {
		t.Fatalf("list %v %d %v", page, total, err)
	}
	r, f := b.follow(second)
	defer f.Close()
	if err := b.hub.Delete(t.Context(), b.user, second); err != nil {
		t.Fatal(err)
	}
	r.await(t, Closed, 1)
	page, total, err = b.hub.List(t.Context(), b.operator(""), "", 0, 9)
	if err != nil || total != 1 || page[0].ID != first {
		t.Errorf("list %v %d %v", page, total, err)
	}
	if _, err := b.hub.Info(t.Context(), b.user, second); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("deleted: %v", err)
	}
}

func TestTypingReachesTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	if err := b.hub.Type(t.Context(), b.user, id, "socket", true); err != nil {
		t.Fatal(err)
	}
	if e := r.await(t, Typing, 1); !e.Active || e.From != "ann" || e.Origin != "socket" {
		t.Errorf("%+v", e)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	for i := range 2 {
		if known, err := b.hub.Known(t.Context(), b.user); err != nil || known != (i > 0) {
			t.Errorf("time %d: %v %v", i, known, err)
		}
	}
}
