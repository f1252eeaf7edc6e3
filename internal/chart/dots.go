package chart

import (
	"io"
	"math"
)

// Dots is a picture with a row for each thing and a mark for each of its values, on one logarithmic axis. The values
// stand beside the rows as well. At most four series look different.
type Dots struct {
	Title  string
	Note   string // below the title: the unit, and what is better
	Series []string
	Rows   []Row
}

// Row is one thing. Values are those of the series; what is not above 0 is absent.
type Row struct {
	Name   string
	Values []float64
}

// Sizes of a Dots, in pixels.
const (
	dotsWidth  = 940.0
	dotsNames  = 335.0 // right edge of the names
	dotsColumn = 72.0
	dotsRow    = 30.0
	dotsTop    = 96.0
	margin     = 20.0
)

// Write draws the picture.
func (d Dots) Write(w io.Writer) error {
	c := &canvas{width: dotsWidth, height: dotsTop + dotsRow*float64(len(d.Rows)) + 36}
	columns := dotsWidth - margin - dotsColumn*float64(len(d.Series))
	left, right := dotsNames+margin, columns-margin
	low, high := d.decades()
	place := func(v float64) float64 { return left + (math.Log10(v)-low)/(high-low)*(right-left) }

	c.text(margin, 30, start, "title", d.Title)
	c.text(margin, 52, start, "muted", d.Note)
	for i, name := range d.Series {
		x := columns + dotsColumn*(float64(i)+0.5)
		c.mark(i, x, 64)
		c.text(x, dotsTop-10, middle, "small", name)
	}
	bottom := dotsTop + dotsRow*float64(len(d.Rows))
	for power := low; power <= high; power++ {
		x := place(math.Pow(10, power))
		c.line(x, dotsTop, x, bottom, "grid")
		c.text(x, bottom+18, middle, "muted small", Number(math.Pow(10, power)))
	}
	for i, row := range d.Rows {
		d.row(c, row, dotsTop+dotsRow*(float64(i)+0.5), columns, place)
	}
	return c.write(w, d.Title)
}

func (d Dots) row(c *canvas, row Row, y, columns float64, place func(float64) float64) {
	c.text(dotsNames, y+4, end, "", row.Name)
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range row.Values {
		if v > 0 {
			low, high = min(low, place(v)), max(high, place(v))
		}
	}
	if low < high {
		c.line(low, y, high, y, "span")
	}
	for i := len(row.Values) - 1; i >= 0; i-- { // the first series on top
		text := "–"
		if v := row.Values[i]; v > 0 {
			c.mark(i, place(v), y)
			text = Number(v)
		}
		c.text(columns+dotsColumn*(float64(i)+0.5), y+4, middle, "", text)
	}
}

// decades returns the powers of ten between which all values lie.
func (d Dots) decades() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, row := range d.Rows {
		for _, v := range row.Values {
			if v > 0 {
				low, high = min(low, math.Floor(math.Log10(v))), max(high, math.Ceil(math.Log10(v)))
			}
		}
	}
	if low > high {
		return 0, 1
	}
	return low, max(high, low+1)
}
