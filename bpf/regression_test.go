// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dalio/protocol"
)

// script is a run in the form of the files in testdata/regressions: a state to
// start with, then a line for each thing that happened. # begins a comment.
type script []string

// replay runs the script against the model and returns the first complaint, and
// the number of its line.
func (s script) replay(dp *DataPlane) (complaint string, line int) {
	var model *protocol.Coordinator
	for i, text := range s {
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if complaint := step(dp, &model, text); complaint != "" {
			return complaint, i
		}
	}
	return "", len(s)
}

// step does what one line of a script says.
func step(dp *DataPlane, model **protocol.Coordinator, line string) (complaint string) {
	verb, rest, _ := strings.Cut(line, " ")
	var err error
	switch verb {
	case "start":
		*model = &protocol.Coordinator{}
		if err = json.Unmarshal([]byte(rest), *model); err == nil {
			err = dp.Restore(*model)
		}
	case "tick":
		(*model).Tick++
		err = dp.Tick()
	case "serving", "members", "minimum", "epoch", "now":
		var value uint64
		if value, err = strconv.ParseUint(rest, 10, 64); err == nil {
			err = control(dp, *model, verb, value)
		}
	case "frame":
		var frame []byte
		var got protocol.Outcome
		if frame, err = hex.DecodeString(rest); err == nil {
			got, err = dp.HandleFrame(frame)
		}
		if err == nil {
			if difference := compare(dp, *model, frame, got); difference != "" {
				return action(frame) + ": " + difference
			}
		}
	default:
		err = fmt.Errorf("%q is none of start, frame, tick, serving, members, minimum, epoch, now", verb)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// minimise leaves out all lines without which the script still ends in a
// complaint about the same action.
func (s script) minimise(dp *DataPlane) script {
	complaint, at := s.replay(dp)
	if complaint == "" {
		return s
	}
	s = s[:at+1]
	name, _, _ := strings.Cut(complaint, ":")
	for shorter := true; shorter; {
		shorter = false
		for i := len(s) - 2; i > 0; i-- {
			without := slices.Delete(slices.Clone(s), i, i+1)
			if c, at := without.replay(dp); strings.HasPrefix(c, name+":") {
				s, shorter = without[:at+1], true
				i = min(i, len(s)-1)
			}
		}
	}
	return s
}

// explain prints the script of a failed random walk, as rapid left it or, if the
// model is what it failed against, shorter: a judge would accuse a correct data
// plane too when its frames came without those before them.
func explain(t *testing.T, dp *DataPlane, w *world) {
	t.Helper()
	if !t.Failed() || w == nil {
		return
	}
	start, err := json.Marshal(w.start)
	if err != nil {
		t.Error(err)
		return
	}
	shortest := append(script{"start " + string(start)}, w.script...)
	if w.judge == nil {
		shortest = shortest.minimise(dp)
	}
	var what []string
	for _, line := range shortest[1:] {
		verb, rest, _ := strings.Cut(line, " ")
		if frame, err := hex.DecodeString(rest); verb == "frame" && err == nil {
			line = action(frame)
		}
		what = append(what, line)
	}
	t.Logf("shrunk to %s; as a regression case:\n%s", strings.Join(what, ", "), strings.Join(shortest, "\n"))
}

// TestRegressions replays what once told a broken data plane from a correct one.
func TestRegressions(t *testing.T) {
	files, err := filepath.Glob("testdata/regressions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no regression cases in testdata/regressions: %v", err)
	}
	dp := load(t, "")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if complaint, line := script(strings.Split(string(text), "\n")).replay(dp); complaint != "" {
				t.Fatalf("%s:%d: %s", file, line+1, complaint)
			}
		})
	}
}
