// SPDX-License-Identifier: Apache-2.0

// Package failpoint names the moments at which a process of the shard may be
// made to fail, for tests of what happens then. A point costs one load of an
// atomic variable, and does nothing unless it has been armed, which is possible
// only in a process that was started with DALIO_FAILPOINTS set.
package failpoint

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Environment is the variable that allows points to be armed, whatever it holds.
const Environment = "DALIO_FAILPOINTS"

// Action is what happens at an armed point, once.
type Action string

// The actions.
const (
	// Kill ends the process at once, as a crash does.
	Kill Action = "kill"
	// Stop halts the process until it is sent SIGCONT.
	Stop Action = "stop"
	// Fail makes Hit return an error.
	Fail Action = "fail"
	// Delay lets the point take 100 ms.
	Delay Action = "delay"
)

const delay = 100 * time.Millisecond

// Point is one such moment.
type Point struct {
	name  string
	armed atomic.Pointer[Action]
	hits  atomic.Uint64
}

var (
	mu     sync.Mutex
	points = map[string]*Point{}
)

// New names a point. Points are package variables: it panics if the name is
// taken.
func New(name string) *Point {
	mu.Lock()
	defer mu.Unlock()
	if points[name] != nil {
		panic("failpoint: " + name + " is named twice")
	}
	p := &Point{name: name}
	points[name] = p
	return p
}

// Hit is called where the process may fail. It returns an error only if the
// point was armed with Fail.
func (p *Point) Hit() error {
	p.hits.Add(1)
	if p.armed.Load() == nil {
		return nil
	}
	action := p.armed.Swap(nil)
	if action == nil {
		return nil
	}
	switch *action {
	case Kill:
		signalSelf(syscall.SIGKILL)
	case Stop:
		signalSelf(syscall.SIGSTOP)
	case Delay:
		time.Sleep(delay)
	case Fail:
		return fmt.Errorf("failpoint %s", p.name)
	}
	return nil
}

// signalSelf returns when the signal has been taken, which for SIGKILL is never.
func signalSelf(s syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), s) // One may always signal oneself.
	if s == syscall.SIGKILL {
		select {}
	}
}

// Names lists the points of this process.
func Names() []string {
	mu.Lock()
	defer mu.Unlock()
	var names []string
	for name := range points {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Arm has the point do something the next time it is hit; an empty action
// disarms it.
func Arm(name string, a Action) error {
	if _, allowed := os.LookupEnv(Environment); !allowed {
		return fmt.Errorf("failpoints are off; start the process with %s=1", Environment)
	}
	mu.Lock()
	p := points[name]
	mu.Unlock()
	if p == nil {
		return fmt.Errorf("there is no failpoint %q; there are %v", name, Names())
	}
	switch a {
	case "":
		p.armed.Store(nil)
	case Kill, Stop, Fail, Delay:
		p.armed.Store(&a)
	default:
		return fmt.Errorf("failpoint %s: action %q is not known; there are kill, stop, fail and delay", name, a)
	}
	return nil
}

// Status of a point, as the handler reports it.
type Status struct {
	Name  string `json:"name"`
	Armed Action `json:"armed,omitempty"`
	Hits  uint64 `json:"hits"`
}

// Handler lists the points on GET, and arms one on POST, with the parameters
// name and action.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if err := Arm(r.FormValue("name"), Action(r.FormValue("action"))); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(statuses()) // Who asked has gone away: nobody to tell.
	})
}

func statuses() []Status {
	var all []Status
	for _, name := range Names() {
		mu.Lock()
		p := points[name]
		mu.Unlock()
		s := Status{Name: name, Hits: p.hits.Load()}
		if a := p.armed.Load(); a != nil {
			s.Armed = *a
		}
		all = append(all, s)
	}
	return all
}
