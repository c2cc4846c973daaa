// SPDX-License-Identifier: Apache-2.0

// Package svg writes the pieces that plots are made of. Lengths are pixels.
package svg

import (
	"fmt"
	"html"
	"strings"
)

// Open begins a page with a white ground, on which text has a font size unless told
// otherwise.
func Open(out *strings.Builder, width, height float64, fontSize int) {
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="%d">`+"\n", width, height, fontSize)
	fmt.Fprintf(out, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", width, height)
}

// Close ends the page.
func Close(out *strings.Builder) { out.WriteString("</svg>\n") }

// Text writes a line whose start, middle or end, as the anchor says, is at a place.
func Text(out *strings.Builder, x, y float64, anchor string, size int, color, content string) {
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" fill="%s">%s</text>`+"\n", x, y, anchor, size, color,
		html.EscapeString(content))
}
