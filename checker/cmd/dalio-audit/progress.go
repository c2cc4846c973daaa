// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// quiet is how long an audit may take without a word.
const quiet = 2 * time.Second

// progress tells a person at a terminal that a long audit goes on.
type progress struct {
	done, total atomic.Int64
	quit, over  chan struct{}
}

// startProgress watches one audit. It stays silent if w is not a terminal.
func startProgress(w io.Writer, path string) *progress {
	p := &progress{quit: make(chan struct{}), over: make(chan struct{})}
	if !terminal(w) {
		close(p.over)
		return p
	}
	go p.watch(w, path, quiet)
	return p
}

func (p *progress) notify(done, total int) {
	p.done.Store(int64(done))
	p.total.Store(int64(total))
}

// stop ends the watching and erases its line.
func (p *progress) stop() {
	close(p.quit)
	<-p.over
}

func (p *progress) watch(w io.Writer, path string, every time.Duration) {
	defer close(p.over)
	start := time.Now()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	shown := false
	for {
		select {
		case <-p.quit:
			if shown {
				fmt.Fprint(w, "\r\x1b[K")
			}
			return
		case <-ticker.C:
			shown = true
			fmt.Fprintf(w, "\r\x1b[K%s: %s, %v", path, p.state(), time.Since(start).Round(time.Second))
		}
	}
}

func (p *progress) state() string {
	if p.total.Load() == 0 {
		return "reading"
	}
	return fmt.Sprintf("%s of %s judged", thousands(int(p.done.Load())), count(int(p.total.Load()), "key"))
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
