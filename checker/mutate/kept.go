// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// kept is what became of mutants in earlier runs, so that one that was interrupted is
// gone on with. It is of no use any more when anything has changed that judges.
type kept struct {
	lock      sync.Mutex
	file      *os.File
	outcomes  map[string]outcome
	originals map[string]original
}

// original is how tests took the code as it is.
type original struct {
	Tests   string        `json:"tests"`
	Took    time.Duration `json:"took"`
	Reached []byte        `json:"reached"`
}

// line is one of the file: the first has the digest.
type line struct {
	Digest   string    `json:"digest,omitempty"`
	Original *original `json:"original,omitempty"`
	Outcome  *outcome  `json:"outcome,omitempty"`
}

// openKept opens the file, and begins it anew if its digest is another.
func openKept(path, digest string) (*kept, error) {
	k := &kept{outcomes: map[string]outcome{}, originals: map[string]original{}}
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	whole := 0
	for i, text := range bytes.SplitAfter(content, []byte("\n")) {
		var l line
		// The last one may be torn.
		if !bytes.HasSuffix(text, []byte("\n")) || json.Unmarshal(text, &l) != nil || i == 0 && l.Digest != digest {
			break
		}
		whole += len(text)
		if l.Original != nil {
			k.originals[l.Original.Tests] = *l.Original
		}
		// In time is a matter of how busy the machine was.
		if l.Outcome != nil && l.Outcome.State != late {
			k.outcomes[l.Outcome.Name] = *l.Outcome
		}
	}
	if k.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	if err = k.file.Truncate(int64(whole)); err == nil && whole == 0 {
		err = k.keep(line{Digest: digest})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// keep appends a line. Of a sample nothing is kept.
func (k *kept) keep(l line) error {
	if k == nil {
		return nil
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	k.lock.Lock()
	defer k.lock.Unlock()
	_, err = k.file.Write(append(text, '\n'))
	return err
}

func (k *kept) outcome(name string) (outcome, bool) {
	if k == nil {
		return outcome{}, false
	}
	o, ok := k.outcomes[name]
	return o, ok
}

func (k *kept) original(tests string) (original, bool) {
	if k == nil {
		return original{}, false
	}
	o, ok := k.originals[tests]
	return o, ok
}

func (k *kept) close() { k.file.Close() }
