// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"dalio/protocol"
)

// progress is how far the workers are, as it is kept in a file.
type progress struct {
	mu sync.Mutex
	// Commit is what was checked out when the run began or went on, and Sources tells
	// program, model and fuzzer apart: what others did does not count.
	Commit, Sources string

	Seed    uint64
	Object  string
	Packets uint64
	// Episodes has how many each worker has played.
	Episodes []uint64
	// Seen counts what happened to the packets.
	Seen [meetings]uint64
}

// resume returns the progress that the folder has, or none if it is of something else.
func resume(o options) (*progress, error) {
	commit, sources, err := checkedOut()
	if err != nil {
		return nil, err
	}
	fresh := &progress{Commit: commit, Sources: sources, Seed: o.seed, Object: o.object, Episodes: make([]uint64, o.workers)}
	text, err := os.ReadFile(progressFile(o))
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the progress: %w", err)
	}
	p := &progress{}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to begin anew", progressFile(o), err)
	}
	if p.Sources != fresh.Sources || p.Object != o.object || len(p.Episodes) != o.workers {
		return fresh, nil
	}
	p.Commit = fresh.Commit
	return p, nil
}

func progressFile(o options) string {
	return filepath.Join(o.dir, fmt.Sprintf("progress-%d.json", o.seed))
}

// sourcePaths are what a packet meets, and what makes it.
var sourcePaths = []string{"bpf/coordinator_bpfel.o", "bpf/treadmill.go", "protocol", "checker/cmd/fuzz-packets"}

// checkedOut names the commit that is checked out, with a + if the sources were
// changed, and tells the sources by what is in them, committed or not.
func checkedOut() (commit, sources string, err error) {
	git := func(arguments ...string) string {
		out, err := exec.Command("git", arguments...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(out))
	}
	commit = git("rev-parse", "--short=12", "HEAD")
	status := []string{"status", "--porcelain", "--"}
	for _, path := range sourcePaths {
		status = append(status, ":/"+path)
	}
	if git(status...) != "" {
		commit += "+"
	}
	sources, err = digest(git("rev-parse", "--show-toplevel"), sourcePaths)
	return commit, sources, err
}

// digest returns one of the files that the paths below a folder have, names and all.
func digest(root string, paths []string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		err := fs.WalkDir(os.DirFS(root), path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(filepath.Join(root, name))
			fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("look for the sources, to tell whether the progress is of others; run this where they are: %w", err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func (p *progress) packets() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Packets
}

// next returns how many episodes the worker has played.
func (p *progress) next(worker int) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Episodes[worker]
}

// played takes note of an episode, and forgets what was seen.
func (p *progress) played(worker int, packets uint64, seen *[meetings]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Episodes[worker]++
	p.Packets += packets
	for i, n := range seen {
		p.Seen[i] += n
	}
	*seen = [meetings]uint64{}
}

func (p *progress) save(o options) error {
	p.mu.Lock()
	text, err := json.Marshal(p)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	temporary := progressFile(o) + ".new"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return fmt.Errorf("save the progress: %w", err)
	}
	return os.Rename(temporary, progressFile(o))
}

// What can happen to a packet, beside the reasons to drop it.
const (
	passed = iota
	sequenced
	committed
	released
	gated
	otherwise
	reasons // The first of them.

	meetings = 32
)

// meet counts what happened to a packet.
func meet(seen *[meetings]uint64, o *protocol.Outcome, before, after uint64) {
	kind := protocol.MessageType(0)
	if o.Verdict != protocol.Drop && len(o.Frame) > protocol.FrameOverhead+3 {
		kind = protocol.MessageType(o.Frame[protocol.FrameOverhead+3])
	}
	switch {
	case o.Verdict == protocol.Drop:
		seen[reasons+int(o.Reason)]++
	case o.Verdict == protocol.Pass:
		seen[passed]++
	case after != before:
		seen[sequenced]++
	case kind == protocol.WriteResponse && o.Action == "HandleWriteAck":
		seen[committed]++
	case kind == protocol.ReadResponse && o.Action == "HandleReadReply":
		seen[released]++
	case o.Action == "HandleReadReply":
		seen[gated]++
	default:
		seen[otherwise]++
	}
}

// missed returns an error if the packets never brought about something they should:
// then they are not what they are thought to be.
func (p *progress) missed() error {
	for _, reason := range protocol.Reasons() {
		switch reason {
		case protocol.Gated, protocol.Contended, protocol.Internal:
			// Frames that are handled alone never meet these.
		default:
			if p.Seen[reasons+int(reason)] == 0 {
				return fmt.Errorf("no packet was dropped for the reason %v: this many packets must meet it", reason)
			}
		}
	}
	for i, name := range []string{"passed", "sequenced", "committed", "released", "gated"} {
		if p.Seen[i] == 0 {
			return fmt.Errorf("no packet was %s: this many packets must meet it", name)
		}
	}
	return nil
}
