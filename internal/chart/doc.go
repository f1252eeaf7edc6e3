// Package chart draws the charts of the documentation as SVG files that read on light and on dark pages, and without
// colours.
//
// Dots compares a few values for each of many things on a logarithmic axis; Panels shows how values grow, each against
// an axis of its own that begins at zero, so that what is flat looks flat. Both write the same bytes for the same values.
package chart
