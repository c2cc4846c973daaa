// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"dalio/bpf"
	"dalio/protocol"
)

// Coverage counts what was met.
type Coverage struct {
	// Actions are those of the specification, Situations what its hazards need,
	// Faults the kinds, Drops the reasons and Activities what the bytecode counts.
	Actions, Situations, Faults, Drops, Activities map[string]int
	unknown                                        int
}

func newCoverage() *Coverage {
	return &Coverage{Actions: map[string]int{}, Situations: map[string]int{}, Faults: map[string]int{}, Drops: map[string]int{}, Activities: map[string]int{}}
}

func (c *Coverage) action(name string) { c.Actions[name]++ }
func (c *Coverage) met(name string)    { c.Situations[name]++ }
func (c *Coverage) fault(kind string)  { c.Faults[kind]++ }

// Add adds another's counts.
func (c *Coverage) Add(o *Coverage) {
	for _, pair := range [][2]map[string]int{{c.Actions, o.Actions}, {c.Situations, o.Situations}, {c.Faults, o.Faults}, {c.Drops, o.Drops}, {c.Activities, o.Activities}} {
		for name, n := range pair[1] {
			pair[0][name] += n
		}
	}
	c.unknown += o.unknown
}

// handled takes note of what a data plane made of a frame.
func (c *Coverage) handled(_ *host, _ []byte, d *bpf.Handled) {
	if d.Action != "" {
		c.action(d.Action)
	}
	if d.Reason != protocol.NotDropped {
		c.Drops[d.Reason.String()]++
	}
	for i, name := range bpf.ActivityNames() {
		if d.Done>>i&1 != 0 {
			c.Activities[name]++
		}
	}
}

// replied takes note of a replica's answer.
func (c *Coverage) replied(m *protocol.Message) {
	switch m.Type {
	case protocol.WriteAck:
		c.action("HandleWrite")
	case protocol.ReadReply:
		c.action("HandleRead")
	}
}

// answered takes note of an answer to a write.
func (c *Coverage) answered(_ *client, _ *protocol.Message) {}
