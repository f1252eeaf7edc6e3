package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// wellFormed fails unless a picture is XML that has no numbers which are none, and returns its text.
func wellFormed(t *testing.T, picture string) (text string) {
	t.Helper()
	if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
		t.Errorf("coordinates that are none:\n%s", picture)
	}
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, picture)
		}
		if data, ok := token.(xml.CharData); ok {
			text += string(data) + "\n"
		}
	}
}

func TestDots(t *testing.T) {
	for name, d := range map[string]Dots{
		"empty":     {Title: "Nothing"},
		"one value": {Title: "One", Series: []string{"a"}, Rows: []Row{{"x", []float64{10}}}},
		"absent":    {Title: "None", Series: []string{"a", "b"}, Rows: []Row{{"x", []float64{0, 0}}}},
		"escaped":   {Title: "a < b & \"c\"", Series: []string{"<"}, Rows: []Row{{"<x>", []float64{0.3}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := d.Write(&b); err != nil {
				t.Fatal(err)
			}
			if text := wellFormed(t, b.String()); !strings.Contains(text, d.Title) {
				t.Errorf("no title in %s", text)
			}
		})
	}
	var b strings.Builder
	d := Dots{Title: "T", Series: []string{"us", "aim", "bare"}, Rows: []Row{{"fast", []float64{0.55, 0.7, 0.3}}, {"slow", []float64{206, 0, 36}}}}
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	text := wellFormed(t, b.String())
	for _, want := range []string{"fast", "0.55", "0.7", "0.3", "206", "–", "us", "aim", "bare", "0.1", "1 k"} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if n := strings.Count(b.String(), "<circle"); n != 3+4-1+0 { // two in the legend, two of each row's
		t.Errorf("%d discs and rings", n)
	}
}

func TestPanels(t *testing.T) {
	p := Panels{Title: "Growth", Panels: []Panel{
		{Title: "flat, µs", Across: "subscribers", Series: []Series{{Points: []Point{{10, 2}, {100, 2}, {10_000, 2}}}}},
		{Title: "two, ms", Across: "messages", Series: []Series{{"ring", []Point{{1, 0.5}}}, {"store", []Point{{1, 1.5}}}}},
		{Title: "nothing"},
		{Title: "zero", Series: []Series{{Points: []Point{{1, 0}}}}},
	}}
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	text := wellFormed(t, b.String())
	for _, want := range []string{"Growth", "flat, µs", "subscribers", "ring", "store", "10", "10 k"} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.123: "0.12", 0.5: "0.5", 1: "1", 12.34: "12.3", 10: "10", 100: "100", 123.4: "123",
		1000: "1 k", 1234: "1.2 k", 12345: "12 k", 1e5: "100 k", 1234567: "1.23 M", 1e7: "10 M",
	} {
		if got := Number(v); got != want {
			t.Errorf("Number(%v) = %s, want %s", v, got, want)
		}
	}
	for _, most := range []float64{0.003, 0.7, 1, 1.9, 2, 3.3, 9.9, 10, 47, 110, 5000} {
		if steps := math.Ceil(most / roundStep(most)); steps < 2 || steps > 5 {
			t.Errorf("up to %v there are %v steps", most, steps)
		}
	}
}
