// SPDX-License-Identifier: Apache-2.0

// Package load drives a shard with concurrent clients on shared keys, records
// what they saw as a history, and counts and times it.
package load

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"dalio/traces"
)

// Workload says what the clients do.
type Workload struct {
	// Prefix begins every key, so that one load's keys are not another's.
	Prefix string
	// Keys is how many keys are read and written, drawn by Zipf's law with
	// exponent Skew.
	Keys int
	Skew float64
	// DeleteKeys is how many further keys exist that are deleted too. Deletes
	// keep to keys of their own because they all write the same thing, absence,
	// which makes a history far harder to judge than unique values do.
	DeleteKeys int
	// Writes is the share of puts on the ordinary keys, and Deletes the share of
	// all operations that goes to the keys that are deleted too.
	Writes  float64
	Deletes float64
	// ValueSize is the length of a value; the unique part is never cut.
	ValueSize int
	// Seed makes the choices of every client repeatable.
	Seed uint64
}

// Check returns an error that says what can't be driven.
func (w Workload) Check() error {
	switch {
	case w.Keys < 1:
		return fmt.Errorf("workload: %d keys, at least 1 is needed", w.Keys)
	case w.Writes < 0 || w.Writes > 1:
		return fmt.Errorf("workload: a share of writes of %v is not between 0 and 1", w.Writes)
	case w.Deletes < 0 || w.Deletes > 1:
		return fmt.Errorf("workload: a share of deletes of %v is not between 0 and 1", w.Deletes)
	case w.Deletes > 0 && w.DeleteKeys < 1:
		return fmt.Errorf("workload: deletes need keys of their own, and there are none")
	}
	return nil
}

// key is the name of an ordinary key.
func (w *Workload) key(i int) string { return fmt.Sprintf("%sk%d", w.Prefix, i) }

// operation is one thing a client does.
type operation struct {
	f, key, value string
}

// choices makes the operations of one client.
type choices struct {
	w      Workload
	zipf   *Zipf
	random *rand.Rand
	client int
	writes int
}

func newChoices(w Workload, zipf *Zipf, client int) *choices {
	return &choices{w: w, zipf: zipf, random: rand.New(rand.NewPCG(w.Seed, uint64(client))), client: client}
}

func (c *choices) next() operation {
	if c.random.Float64() < c.w.Deletes {
		key := fmt.Sprintf("%sd%d", c.w.Prefix, c.random.IntN(c.w.DeleteKeys))
		switch c.random.IntN(4) {
		case 0:
			return operation{f: traces.Delete, key: key}
		case 1:
			return operation{traces.Write, key, c.value()}
		}
		return operation{f: traces.Read, key: key}
	}
	key := c.w.key(c.zipf.Draw(c.random))
	if c.random.Float64() < c.w.Writes {
		return operation{traces.Write, key, c.value()}
	}
	return operation{f: traces.Read, key: key}
}

// value returns a value never written before in the run.
func (c *choices) value() string {
	c.writes++
	unique := fmt.Sprintf("%d-%d", c.client, c.writes)
	if fill := c.w.ValueSize - len(unique); fill > 0 {
		unique += strings.Repeat(".", fill)
	}
	return unique
}
