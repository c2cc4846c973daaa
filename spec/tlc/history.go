// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalio/checker/linear"
	"dalio/traces"
)

// auditTime bounds the audit of one history, which has a handful of calls.
const auditTime = time.Minute

// call is the last call of a client and how it stands, as in Register.tla. A
// nil value is no value, or that of an absent key.
type call struct {
	status, op, key string
	value           *string
}

var (
	stateLine  = regexp.MustCompile(`(?m)^State \d+: .*$`)
	callsPart  = regexp.MustCompile(`(?ms)^/\\ calls = (.*?)(?:^/\\ |^$|\z)`)
	clientPart = regexp.MustCompile(`(?s)(\w+) (?:\|->|:>)\s+\[([^\[\]]*)\]`)
	fieldPart  = regexp.MustCompile(`(\w+) \|-> ("[^"]*"|\w+)`)
)

// parseCalls reads the variable calls in every state of the counterexample that
// TLC printed.
func parseCalls(text string) ([]map[string]call, error) {
	starts := stateLine.FindAllStringIndex(text, -1)
	if len(starts) == 0 {
		return nil, fmt.Errorf("TLC printed no counterexample")
	}
	var states []map[string]call
	for i, start := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		part := callsPart.FindStringSubmatch(text[start[1]:end])
		if part == nil {
			return nil, fmt.Errorf("state %d has no variable calls", i+1)
		}
		calls := map[string]call{}
		for _, client := range clientPart.FindAllStringSubmatch(part[1], -1) {
			c, err := parseCall(client[2])
			if err != nil {
				return nil, fmt.Errorf("state %d, client %s: %w", i+1, client[1], err)
			}
			calls[client[1]] = c
		}
		// Whatever was not understood must not be taken for silence.
		if rest := clientPart.ReplaceAllString(part[1], ""); len(calls) == 0 || strings.Trim(rest, "[]()@, \n") != "" {
			return nil, fmt.Errorf("state %d: calls = %q is not understood", i+1, part[1])
		}
		states = append(states, calls)
	}
	return states, nil
}

func parseCall(text string) (call, error) {
	fields := map[string]*string{}
	for _, field := range fieldPart.FindAllStringSubmatch(text, -1) {
		if value, err := strconv.Unquote(field[2]); err == nil {
			fields[field[1]] = &value
		} else {
			fields[field[1]] = nil // A model value: Absent or None.
		}
	}
	status, op := fields["status"], fields["op"]
	_, hasKey := fields["key"]
	_, hasValue := fields["value"]
	if status == nil || op == nil || !hasKey || !hasValue || len(fields) != 4 {
		return call{}, fmt.Errorf("a call has a status, an op, a key and a value, not %q", text)
	}
	c := call{status: *status, op: *op, value: fields["value"]}
	if key := fields["key"]; key != nil {
		c.key = *key
	}
	return c, nil
}

// writeHistory turns the states into what the clients saw, as a history that
// any judge can read. Clients become processes in the order of their names, and
// the number of a state is the time of what happened on the way to it. It also
// returns how many calls were made.
func writeHistory(states []map[string]call) (history []byte, made int, err error) {
	clients := slices.Sorted(maps.Keys(states[0]))
	var out bytes.Buffer
	now := 1
	recorder := traces.NewRecorderClock(&out, func() int64 { return int64(now) })
	for now = 2; now <= len(states); now++ {
		before, after := states[now-2], states[now-1]
		if !slices.Equal(slices.Sorted(maps.Keys(after)), clients) {
			return nil, 0, fmt.Errorf("state %d has other clients than the first", now)
		}
		for process, client := range clients {
			was, is := before[client], after[client]
			if sameCall(was, is) {
				continue
			}
			if was.status == is.status {
				return nil, 0, fmt.Errorf("state %d: the call of client %s changes and stays %q", now, client, is.status)
			}
			switch is.status {
			case "open":
				made++
				f := is.op
				if f == traces.Write && is.value == nil {
					f = traces.Delete
				}
				recorder.Invoke(process, f, is.key, is.value)
			case "ok":
				recorder.Complete(process, traces.OK, is.value)
			case "failed":
				recorder.Complete(process, traces.Fail, nil)
			case "unknown":
				recorder.Complete(process, traces.Info, nil)
			default:
				return nil, 0, fmt.Errorf("state %d: the call of client %s becomes %q", now, client, is.status)
			}
		}
	}
	if err := recorder.Close(); err != nil {
		return nil, 0, fmt.Errorf("the counterexample is no history: %w", err)
	}
	return out.Bytes(), made, nil
}

func sameCall(a, b call) bool {
	sameValue := a.value == b.value || a.value != nil && b.value != nil && *a.value == *b.value
	return a.status == b.status && a.op == b.op && a.key == b.key && sameValue
}

// auditRefutes writes the history of the clients of TLC's counterexample to a
// file, and returns an error unless the audit finds it not linearizable: two
// judges that share nothing must agree. It also returns how many calls were made.
func auditRefutes(ctx context.Context, text, path string) (made int, err error) {
	states, err := parseCalls(text)
	if err != nil {
		return 0, err
	}
	history, made, err := writeHistory(states)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(path, history, 0o644); err != nil {
		return 0, err
	}
	report, err := linear.CheckFile(ctx, path, linear.Options{Timeout: auditTime})
	if err != nil {
		return 0, err
	}
	if report.Verdict != linear.NotLinearizable {
		return 0, fmt.Errorf("TLC refutes what the clients saw, and the audit finds %s %s", path, report.Verdict)
	}
	return made, nil
}
