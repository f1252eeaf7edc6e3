package test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"parley/test/rig"
)

// TestAssistantPage runs a page in a browser, from an origin of its own, that knows nothing but the published document:
// it chats, clicks on a question, loses its connection in mid-answer, and then the broker.
func TestAssistantPage(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	base := "http://" + server.StableAddr()
	login := server.MustCLI("token", "issue", "--tenant", "demo", "--user", "ann", "--login")
	pages := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(clients, "javascript"))))
	t.Cleanup(pages.Close)
	page := rig.OpenPage(t, pages.URL+"/assistant.html")
	page.Await("window.start")
	page.Text(fmt.Sprintf("start(%q, 'not.a.token')", base))
	page.AwaitText("#status", "no access token: 401")
	page.Text(fmt.Sprintf("start(%q, %q)", base, login))
	page.AwaitText("#status", "connected")

	page.Text("say('Hello wörld ✓')")
	page.AwaitText(".question", "Can you say that again?")
	page.Text("document.querySelector('.question').click()")
	page.Await("answers().join('|') === 'Hello wörld ✓|Can you say that again?'")

	// What was cut off stays as it was, and the whole answer follows it.
	for number, cut := range []func(){
		func() { page.Text("cut()") },
		func() { server.Kill(); server.Restart() },
	} {
		words := strings.TrimSpace(strings.Repeat("wörd ✓ ", 40))
		page.Text(fmt.Sprintf("say(%q)", words))
		page.Await(fmt.Sprintf("answers()[%d]?.length > 10", 2+2*number))
		cut()
		page.Await(fmt.Sprintf("answers()[%d] === %q", 3+2*number, words))
		page.Await(fmt.Sprintf("answers().length === %d", 4+2*number))
	}
}
