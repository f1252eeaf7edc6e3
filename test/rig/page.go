package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Page is a page in a headless Chromium. Its methods fail the test when the browser does not do as they say. They are
// for one goroutine at a time.
type Page struct {
	t   testing.TB
	ctx context.Context
}

// OpenPage opens a page in a browser with an empty profile. Both end with the test.
func OpenPage(t testing.TB, url string, flags ...Flag) *Page {
	t.Helper()
	return &Page{t: t, ctx: openPage(t, url, flags...)}
}

// Beside opens another page in the same browser, in a tab of its own, which ends with the test.
func (p *Page) Beside(url string) *Page {
	p.t.Helper()
	tab, closeTab := chromedp.NewContext(p.ctx)
	p.t.Cleanup(closeTab)
	if _, err := chromedp.Run(tab, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("open a tab: %v", err)
	}
	return &Page{t: p.t, ctx: tab}
}

func act[T any](p *Page, what string, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return v
}

// command sends an order of the DevTools protocol.
func (p *Page) command(method string, params map[string]any) {
	p.t.Helper()
	act(p, method, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error { return t.Call(ctx, method, params, nil) }))
}

// Reload loads the page again, as the user's key does.
func (p *Page) Reload() { p.t.Helper(); act(p, "reload", chromedp.Reload()) }

// Text is what an expression of the page's says, as text.
func (p *Page) Text(expression string) string {
	p.t.Helper()
	return act(p, expression, chromedp.Evaluate[string]("String("+expression+")"))
}

// Run carries out statements in the page.
func (p *Page) Run(statements string) { p.t.Helper(); p.Text("(() => {" + statements + "})()") }

// Await waits until an expression of the page's is true.
func (p *Page) Await(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(Patience)
	for !act(p, expression, chromedp.Evaluate[bool]("Boolean("+expression+")")) {
		if time.Now().After(deadline) {
			p.t.Fatalf("it is not so: %s\nThe page says:\n%s", expression, p.Text("document.body.innerText"))
		}
		<-time.After(20 * time.Millisecond) // between two looks
	}
}

// AwaitText waits until the elements that a selector finds say a text, one of them or all together.
func (p *Page) AwaitText(selector, text string) {
	p.t.Helper()
	p.Await(fmt.Sprintf("[...document.querySelectorAll(%s)].filter(e => e.checkVisibility()).map(e => e.textContent).join('\\n').includes(%s)", quoted(selector), quoted(text)))
}

// Click clicks on the first element that a selector finds.
func (p *Page) Click(selector string) {
	p.t.Helper()
	act(p, "click on "+selector, chromedp.Click(selector))
}

// Type types into whatever has the focus.
func (p *Page) Type(text string) { p.t.Helper(); act(p, "type", chromedp.KeyEvent(text)) }

// Press presses a key with modifiers (8 is Shift), which the DevTools protocol names.
func (p *Page) Press(key, text string, modifiers int) {
	p.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": kind, "key": key, "code": key, "modifiers": modifiers, "windowsVirtualKeyCode": map[string]int{"Enter": 13, "Escape": 27, "Tab": 9}[key]}
		if kind == "keyDown" && text != "" {
			params["text"] = text
		}
		p.command("Input.dispatchKeyEvent", params)
	}
}

// Size sets the size of the window, in CSS pixels.
func (p *Page) Size(width, height int64) {
	p.t.Helper()
	act(p, "size", chromedp.EmulateViewport(width, height))
}

// Scheme has the user prefer "light" or "dark".
func (p *Page) Scheme(scheme string) {
	p.t.Helper()
	p.command("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// Permit has the user let all pages have the camera and the microphone, or not.
func (p *Page) Permit(devices bool) {
	p.t.Helper()
	setting := map[bool]string{true: "granted", false: "denied"}[devices]
	for _, name := range []string{"camera", "microphone"} {
		p.command("Browser.setPermission", map[string]any{"permission": map[string]string{"name": name}, "setting": setting})
	}
}

// Accessible returns what assistive technology is told of: each node as its role and its name.
func (p *Page) Accessible() (nodes []string) {
	p.t.Helper()
	type value struct {
		Value any `json:"value"`
	}
	var tree struct {
		Nodes []struct {
			Ignored bool  `json:"ignored"`
			Role    value `json:"role"`
			Name    value `json:"name"`
		} `json:"nodes"`
	}
	act(p, "the tree for assistive technology", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return t.Call(ctx, "Accessibility.getFullAXTree", nil, &tree)
	}))
	for _, n := range tree.Nodes {
		if role, ok := n.Role.Value.(string); ok && !n.Ignored {
			name, _ := n.Name.Value.(string)
			nodes = append(nodes, role+" "+name)
		}
	}
	return nodes
}

// Picture writes what is on the screen into the directory that $PARLEY_TEST_PICTURES names, if it names one.
func (p *Page) Picture(name string) {
	p.t.Helper()
	dir := os.Getenv("PARLEY_TEST_PICTURES")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), act(p, "picture", chromedp.CaptureScreenshot()), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // strings always can be
	return string(b)
}
