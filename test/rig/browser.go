package rig

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Browser opens the client as a page in a headless Chromium. The page comes from an origin of its own, so the broker is
// a foreign one to it. clients is the directory of the foreign clients.
func Browser(t testing.TB, clients string) *Foreign {
	t.Helper()
	pages := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(clients, "javascript"))))
	t.Cleanup(pages.Close)
	page := openPage(t, pages.URL+"/page.html")
	ready := chromedp.Poll[bool]("window.ask !== undefined", chromedp.WithPollingTimeout(Patience))
	if _, err := chromedp.Run(page, ready); err != nil {
		t.Fatalf("the client's page did not load: %v", err)
	}
	return &Foreign{t: t, ask: func(r request) (a reply, err error) {
		js, err := json.Marshal(r)
		if err != nil {
			return a, err
		}
		ctx, cancel := context.WithTimeout(page, Patience)
		defer cancel()
		// The answer crosses as text, so that numbers stay what they are.
		ask := "window.ask(" + string(js) + ").then(JSON.stringify)"
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](ask, chromedp.EvalAwaitPromise))
		if err != nil {
			return a, err
		}
		return a, json.Unmarshal([]byte(text), &a)
	}}
}

// Flag changes how a browser is started.
type Flag = chromedp.ExecAllocatorOption

// Calls are for browsers that call each other: they make a camera and a microphone up, and find each other on this machine
// even if it has no network. Page.Permit lets pages have the devices.
func Calls() []Flag {
	return []Flag{
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.Flag("disable-features", "Translate,WebRtcHideLocalIpsWithMdns"),
	}
}

// openPage starts a browser with an empty profile on url. Both end with the test.
func openPage(t testing.TB, url string, flags ...Flag) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findChromium(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // containers and root have none to offer
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(Patience),
	)
	options = append(options, flags...)
	start, stop := chromedp.NewExecAllocator(context.Background(), options...)
	page, closePage := chromedp.NewContext(start)
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(page, 10*time.Second)
		_ = chromedp.Cancel(end) // asks the browser to end and waits, so that its profile can be removed
		cancel()
		closePage()
		stop()
	})
	if _, err := chromedp.Run(page, chromedp.Navigate(url)); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return page
}

func findChromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium here: run `make deps`")
	return ""
}
