package chart

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Panels is several small pictures in two columns.
type Panels struct {
	Title  string
	Note   string // below the title
	Panels []Panel
}

// Panel shows how values grow with something: along a logarithmic axis, against one that begins at zero. At most four
// series look different.
type Panel struct {
	Title  string // with the unit of the values
	Across string // what the values grow with
	Series []Series
}

// Series is the values of one kind, by what they grow with, which is above 0.
type Series struct {
	Name   string // empty when it is the panel's only one
	Points []Point
}

// Point is a value Y at X.
type Point struct{ X, Y float64 }

// Sizes of a Panel, in pixels.
const (
	panelWidth  = 440.0
	panelHeight = 250.0
	panelLeft   = 58.0
	panelRight  = 28.0
	panelTop    = 58.0
	panelBottom = 50.0
	panelsTop   = 64.0
)

// Write draws the picture.
func (p Panels) Write(w io.Writer) error {
	rows := (len(p.Panels) + 1) / 2
	c := &canvas{width: 2*panelWidth + margin, height: panelsTop + panelHeight*float64(rows) + 10}
	c.text(margin, 30, start, "title", p.Title)
	c.text(margin, 52, start, "muted", p.Note)
	for i, panel := range p.Panels {
		panel.draw(c, margin/2+panelWidth*float64(i%2), panelsTop+panelHeight*float64(i/2))
	}
	return c.write(w, p.Title)
}

func (p Panel) draw(c *canvas, x, y float64) {
	low, high, most := p.bounds()
	left, right, top, bottom := x+panelLeft, x+panelWidth-panelRight, y+panelTop, y+panelHeight-panelBottom
	step := roundStep(most)
	ceiling := step * math.Ceil(most/step)
	across := func(v float64) float64 {
		if low == high {
			return (left + right) / 2
		}
		return left + (math.Log10(v)-low)/(high-low)*(right-left)
	}
	up := func(v float64) float64 { return bottom - v/ceiling*(bottom-top) }

	c.text(left, y+24, start, "", p.Title)
	for v := 0.0; v <= ceiling*1.001; v += step {
		c.line(left, up(v), right, up(v), "grid")
		c.text(left-8, up(v)+4, end, "muted small", Number(v))
	}
	for power := math.Ceil(low); power <= high; power++ {
		c.text(across(math.Pow(10, power)), bottom+18, middle, "muted small", Number(math.Pow(10, power)))
	}
	c.text((left+right)/2, bottom+36, middle, "muted small", p.Across)
	legend := left
	for i, s := range p.Series {
		if s.Name != "" {
			c.mark(i, legend+5, y+40)
			c.text(legend+16, y+44, start, "small", s.Name)
			legend += 30 + 6.2*float64(len(s.Name))
		}
		var path strings.Builder
		for j, at := range s.Points {
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: " L"}[j == 0], across(at.X), up(at.Y))
		}
		fmt.Fprintf(&c.body, "  <path d=\"%s\" class=\"line s%d\"/>\n", path.String(), i%kinds)
		for _, at := range s.Points {
			c.mark(i, across(at.X), up(at.Y))
		}
	}
}

// bounds returns the logarithms between which the points lie across, and the largest value.
func (p Panel) bounds() (low, high, most float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		for _, at := range s.Points {
			low, high, most = min(low, math.Log10(at.X)), max(high, math.Log10(at.X)), max(most, at.Y)
		}
	}
	if low > high {
		low, high = 0, 1
	}
	if most <= 0 {
		most = 1
	}
	return low, high, most
}

// roundStep is a step of 1, 2 or 5 times a power of ten of which two to five reach most.
func roundStep(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most/2)))
	for _, step := range []float64{1, 2, 5} {
		if most/(step*power) <= 5 {
			return step * power
		}
	}
	return 10 * power
}
