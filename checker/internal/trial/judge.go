// SPDX-License-Identifier: Apache-2.0

// Package trial reads what a Go test printed about broken code, and says whether an
// assertion of it failed.
package trial

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	result = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)
	// ended is what the testing package prints when a test has not come to its end
	// by itself.
	ended = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*|signal: .*)`)
)

// Judge tells from what a test printed, and how its process ended, whether an
// assertion of it failed: then it returns a line that says which. An error says
// that it has shown nothing.
func Judge(t *Test, out string, exit error) (failed string, err error) {
	if stop := ended.FindString(out); stop != "" {
		return "", fmt.Errorf("it ended by %q, which shows nothing\n%s", stop, Tail(out))
	}
	ran, fails := 0, ""
	for _, m := range result.FindAllStringSubmatch(out, -1) {
		if !strings.HasPrefix(m[2], t.Expected) {
			continue
		}
		switch m[1] {
		case "SKIP":
			return "", fmt.Errorf("%s was skipped", m[2])
		case "FAIL":
			if fails == "" {
				fails = m[2]
			}
		}
		ran++
	}
	switch {
	case ran == 0:
		return "", fmt.Errorf("no such test was run\n%s", Tail(out))
	case fails != "" && exit != nil:
		return t.Folder + "." + fails, nil
	case fails != "" || exit != nil:
		return "", fmt.Errorf("its results and its exit differ: %w\n%s", errors.Join(exit), Tail(out))
	}
	return "", nil
}

// Tail returns the end of an output, for people to see.
func Tail(out string) string { return out[max(0, len(out)-2000):] }
