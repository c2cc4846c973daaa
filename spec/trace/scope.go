// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"

	"dalio/traces/event"
)

// scope is what the steps of a chunk name, with the numbers that they have in it. What
// a message or an entry names besides gets a higher number: it is only compared.
type scope struct {
	clients, keys int // how many the functions of the state are for
	messages      map[message]bool

	clientNumber map[int]int
	keyNumber    map[event.Hash]int
	valueNumber  map[content]int
}

// content is what a key was written: the digest that a value is told by is of both.
type content struct {
	key   event.Hash
	value string
}

func scopeOf(c *chunk) scope {
	o := scope{messages: map[message]bool{}, clientNumber: map[int]int{}, keyNumber: map[event.Hash]int{}, valueNumber: map[content]int{}}
	for i, s := range c.steps {
		if s.action != ignored && s.receives != nil {
			o.messages[*s.receives] = true
		}
		for _, m := range c.fates[i].keep {
			o.messages[m] = true
		}
		switch {
		case s.action == ignored:
		case s.Lane != "":
			o.client(s.call.client)
		case s.Event.Event == "HandleWrite" || s.Event.Event == "HandleRead":
			o.key(s.Key)
		}
	}
	o.clients, o.keys = len(o.clientNumber), len(o.keyNumber)
	return o
}

// inOrder returns what has the numbers 1 to n.
func inOrder[T comparable](numbers map[T]int, n int) []T {
	all := make([]T, n)
	for x, number := range numbers {
		if number <= n {
			all[number-1] = x
		}
	}
	return all
}

func number[T comparable](numbers map[T]int, x T) int {
	n, ok := numbers[x]
	if !ok {
		n = len(numbers) + 1
		numbers[x] = n
	}
	return n
}

func (o *scope) client(c int) int {
	if c == 0 {
		return 0
	}
	return number(o.clientNumber, c)
}

func (o *scope) key(k event.Hash) int { return number(o.keyNumber, k) }

func (o *scope) value(k event.Hash, v string) int {
	if v == "" {
		return 0
	}
	return number(o.valueNumber, content{k, v})
}

// world is what the chunks of one run of TLC have in common.
type world struct {
	epoch            uint32
	ids              [16]uint32
	members, serving uint16
	slots            map[uint32]int
	tellers          map[string]int
}

// worldOf numbers the slots and the tellers of chunks.
func worldOf(in *interpreter, chunks []*chunk) *world {
	w := &world{epoch: in.epoch, ids: in.ids, members: in.members, serving: in.serving, slots: map[uint32]int{}, tellers: map[string]int{}}
	for _, c := range chunks {
		for _, slot := range slices.Sorted(maps.Keys(c.end.entries)) {
			number(w.slots, slot)
		}
		for _, s := range c.steps {
			number(w.tellers, s.By)
			sessions := []event.Session{s.Session, s.Writer}
			if s.Slot != nil {
				sessions = append(sessions, s.Slot.Owner)
			}
			for _, session := range sessions {
				if session != 0 {
					number(w.slots, session.Slot())
				}
			}
		}
	}
	return w
}

// replicas returns the ids of a set of indices.
func (w *world) replicas(set uint16) (ids []uint32) {
	for i, id := range w.ids {
		if set>>i&1 != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
