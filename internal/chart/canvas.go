package chart

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// canvas collects the elements of one picture.
type canvas struct {
	width, height float64
	body          strings.Builder
}

// style has the colours as classes, so that the viewer's preference picks them. Background and text are part of it: a
// page does not say what it shows a picture on.
const style = `
    text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 } .muted { fill: #59636e } .small { font-size: 11px }
    .paper { fill: #ffffff } .grid { stroke: #d1d9e0; stroke-width: 1 } .span { stroke: #afb8c1; stroke-width: 2 }
    .f0 { fill: #0969da } .s0 { stroke: #0969da } .f1 { fill: #bc4c00 } .s1 { stroke: #bc4c00 } .f2 { fill: #1a7f37 } .s2 { stroke: #1a7f37 }
    .f3 { fill: #8250df } .s3 { stroke: #8250df } .line { fill: none; stroke-width: 2 } .mark { stroke-width: 2 } .hollow { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc } .muted { fill: #9198a1 } .paper, .hollow { fill: #0d1117 } .grid { stroke: #3d444d } .span { stroke: #656c76 }
      .f0 { fill: #58a6ff } .s0 { stroke: #58a6ff } .f1 { fill: #f0883e } .s1 { stroke: #f0883e } .f2 { fill: #3fb950 } .s2 { stroke: #3fb950 }
      .f3 { fill: #bc8cff } .s3 { stroke: #bc8cff }
    }
`

const (
	start  = "start"
	middle = "middle"
	end    = "end"
)

func (c *canvas) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(&c.body, "  <text x=\"%s\" y=\"%s\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", at(x), at(y), anchor, class, html.EscapeString(text))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.body, "  <line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\" class=\"%s\"/>\n", at(x1), at(y1), at(x2), at(y2), class)
}

// mark draws the sign of a series: each has another shape.
func (c *canvas) mark(series int, x, y float64) {
	colours := fmt.Sprintf("mark s%d", series%kinds)
	switch series % kinds {
	case 0: // a disc
		fmt.Fprintf(&c.body, "  <circle cx=\"%s\" cy=\"%s\" r=\"5\" class=\"%s f0\"/>\n", at(x), at(y), colours)
	case 1: // a stroke
		c.line(x, y-8, x, y+8, colours)
	case 2: // a ring
		fmt.Fprintf(&c.body, "  <circle cx=\"%s\" cy=\"%s\" r=\"4.5\" class=\"%s hollow\"/>\n", at(x), at(y), colours)
	default: // a square
		fmt.Fprintf(&c.body, "  <rect x=\"%s\" y=\"%s\" width=\"8\" height=\"8\" class=\"%s hollow\"/>\n", at(x-4), at(y-4), colours)
	}
}

// kinds is how many series look different.
const kinds = 4

func (c *canvas) write(w io.Writer, title string) error {
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img" aria-label="%[3]s">
  <style>%[4]s  </style>
  <rect width="%[1]s" height="%[2]s" rx="6" class="paper"/>
%[5]s</svg>
`, at(c.width), at(c.height), html.EscapeString(title), style, c.body.String())
	return err
}

// at is a coordinate with as many digits as can be seen.
func at(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// Number is a value as a person writes it, with three digits or as many as it has before the point.
func Number(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 1e6:
		return trim(fmt.Sprintf("%.2f", v/1e6)) + " M"
	case abs >= 1e4:
		return fmt.Sprintf("%.0f k", v/1e3)
	case abs >= 1e3:
		return trim(fmt.Sprintf("%.1f", v/1e3)) + " k"
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return trim(fmt.Sprintf("%.1f", v))
	default:
		return trim(fmt.Sprintf("%.2f", v))
	}
}

func trim(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }
