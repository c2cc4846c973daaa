// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"iter"
	"time"
)

// life is that of a process. What its functions wait for happens while it runs; when
// it is killed they end where they wait.
type life struct {
	w      *world
	over   bool
	paused bool
	procs  map[uint64]*proc
	// blocked are those that would go on if the process were not paused.
	blocked []*proc
}

// proc is a function of a process that takes time. While it waits, others go on.
type proc struct {
	life   *life
	number uint64
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	// suspended: it waits; due: it will go on.
	suspended, due bool
}

// died ends a function of a process that was killed.
type died struct{}

func (w *world) newLife() *life {
	return &life{w: w, procs: map[uint64]*proc{}}
}

// beside has a function run beside the others, from the next moment on.
func (l *life) beside(f func()) *proc {
	l.w.counted++
	p := &proc{life: l, number: l.w.counted, suspended: true}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			switch r := recover(); r.(type) {
			case nil, died:
			default:
				panic(r)
			}
			delete(l.procs, p.number)
		}()
		p.yield = yield
		f()
	})
	l.procs[p.number] = p
	p.wake()
	return p
}

// wake has the function go on that waits, or look at what it waits for.
func (p *proc) wake() {
	if p.suspended && !p.due && !p.life.over {
		p.due = true
		p.life.w.after(0, p.resume)
	}
}

func (p *proc) resume() {
	l := p.life
	switch {
	case l.over:
		return
	case l.paused:
		l.blocked = append(l.blocked, p)
		return
	}
	p.suspended, p.due = false, false
	before := l.w.current
	l.w.current = p
	p.next()
	l.w.current = before
}

// until waits until something is so, looked at each time that the function is woken.
func (p *proc) until(so func() bool) {
	for !so() {
		p.suspended = true
		if !p.yield(struct{}{}) {
			panic(died{})
		}
	}
}

// sleep waits, whoever wakes it.
func (p *proc) sleep(d time.Duration) {
	slept := false
	p.life.w.after(d, func() {
		slept = true
		p.wake()
	})
	p.until(func() bool { return slept })
}

// doze waits, but not longer than until it is woken.
func (p *proc) doze(d time.Duration) {
	p.life.w.after(d, p.wake)
	first := true
	p.until(func() bool {
		woken := !first
		first = false
		return woken
	})
}

// together runs functions at the same time, and returns when all have ended.
func (l *life) together(all ...func()) {
	p, running := l.w.current, len(all)
	for _, f := range all {
		l.beside(func() {
			f()
			running--
			p.wake()
		})
	}
	p.until(func() bool { return running == 0 })
}

// kill ends the process at once.
func (l *life) kill() {
	l.over, l.blocked = true, nil
	for len(l.procs) > 0 {
		least := uint64(0)
		for number := range l.procs {
			if least == 0 || number < least {
				least = number
			}
		}
		p := l.procs[least]
		delete(l.procs, least)
		p.stop()
	}
}

// pause has the process do nothing until it goes on.
func (l *life) pause() { l.paused = true }

func (l *life) goOn() {
	l.paused = false
	blocked := l.blocked
	l.blocked = nil
	for _, p := range blocked {
		l.w.after(0, p.resume)
	}
}
