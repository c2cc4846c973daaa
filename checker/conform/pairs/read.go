// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dalio/spec/jar"
	"dalio/spec/tla"
)

// timeLimit bounds a run of TLC.
const timeLimit = 15 * time.Minute

// source is where the pairs of a model come from: TLC, or a file of what it printed.
type source struct {
	packets []tla.Record
	// states are handed over one by one: the state, and the results of each packet.
	each func(state tla.Record, results tla.Tuple) error
	// distinct is what TLC says of the model at its end.
	distinct int
}

// read takes what TLC prints, line by line.
func (s *source) read(r io.Reader) error {
	lines := bufio.NewReaderSize(r, 1<<20)
	var counts jar.Counts
	var last []string
	for {
		line, err := lines.ReadString('\n')
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "\"") {
			if err := s.printed(line); err != nil {
				return err
			}
		} else if strings.HasPrefix(line, "Error: ") {
			return fmt.Errorf("TLC: %s", line)
		} else {
			counts.Read(line)
			last = append(last, line)
			last = last[max(0, len(last)-20):]
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if !counts.Completed || counts.Left != 0 {
		return fmt.Errorf("TLC did not finish:\n%s", strings.Join(last, "\n"))
	}
	s.distinct = counts.Distinct
	return nil
}

// printed takes one string that the model printed.
func (s *source) printed(line string) error {
	text, err := strconv.Unquote(line)
	if err != nil {
		return fmt.Errorf("not a string of TLC's: %.100s: %w", line, err)
	}
	kind, rest, _ := strings.Cut(text, " ")
	v, err := tla.Parse(rest)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	switch kind {
	case "PACKETS":
		for _, p := range v.(tla.Tuple) {
			s.packets = append(s.packets, p.(tla.Record))
		}
		return nil
	case "RESULTS":
		pair := v.(tla.Tuple)
		results := pair[1].(tla.Tuple)
		if len(results) != len(s.packets) {
			return fmt.Errorf("%d results for %d packets", len(results), len(s.packets))
		}
		return s.each(pair[0].(tla.Record), results)
	}
	return fmt.Errorf("%q is neither PACKETS nor RESULTS", kind)
}

// explore has TLC explore a model of spec/handler. What it prints goes through tee,
// if that is not nil.
func (s *source) explore(ctx context.Context, root, model string, tee func(string, io.Reader) io.Reader) error {
	path, err := jar.FetchPinned(ctx, root)
	if err != nil {
		return err
	}
	work := filepath.Join(root, "build", "conform")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(work, model+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	run := jar.Run{Jar: path, Scratch: scratch, Java: []string{jar.Heap}, Directory: filepath.Join(root, "spec"),
		Module: "MCHandler", Config: filepath.Join("handler", model+".cfg")}
	java := run.Command(ctx)
	out, err := java.StdoutPipe()
	if err != nil {
		return err
	}
	java.Stderr = java.Stdout
	if err := java.Start(); err != nil {
		return fmt.Errorf("run TLC: %w", err)
	}
	var printed io.Reader = out
	if tee != nil {
		printed = tee(model, out)
	}
	err = s.read(printed)
	if err != nil {
		cancel()
	}
	if ended := java.Wait(); err == nil && ended != nil {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("TLC on %s: %w", run.Config, err)
	}
	return nil
}
