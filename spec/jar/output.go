// SPDX-License-Identifier: Apache-2.0

package jar

import (
	"regexp"
	"strconv"
	"strings"
)

// Counts is how many states TLC says that it has seen.
type Counts struct {
	Generated int
	Distinct  int
	Left      int // states not explored
	Depth     int
	Completed bool // TLC says that it explored everything and found no error
}

var (
	statesLine = regexp.MustCompile(`^([\d,]+) states generated, ([\d,]+) distinct states found, ([\d,]+) states left on queue\.$`)
	depthLine  = regexp.MustCompile(`^The depth of the complete state graph search is (\d+)\.$`)
)

// Read takes in one line of what TLC prints, without its end.
func (c *Counts) Read(line string) {
	if line == "Model checking completed. No error has been found." {
		c.Completed = true
	}
	if m := statesLine.FindStringSubmatch(line); m != nil {
		c.Generated, c.Distinct, c.Left = Number(m[1]), Number(m[2]), Number(m[3])
	}
	if m := depthLine.FindStringSubmatch(line); m != nil {
		c.Depth = Number(m[1])
	}
}

// Number reads digits with or without commas, and gives -1 for anything else.
func Number(digits string) int {
	n, err := strconv.Atoi(strings.ReplaceAll(digits, ",", ""))
	if err != nil {
		return -1
	}
	return n
}
