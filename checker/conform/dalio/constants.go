// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"fmt"
	"strings"

	"dalio/protocol"
	"dalio/spec/cfg"
	"dalio/spec/tla"
)

// constants are those of a configuration that the machine goes by.
type constants struct {
	clients    []string
	keys       []string
	replicas   []tla.Model
	serving    tla.Set
	slots      []tla.Model
	quitters   tla.Set
	epoch      protocol.Epoch
	lastSeq    uint64
	lastCount  int
	maxHops    int
	losses     int
	collects   bool
	once       func(kind string) bool
	calls      tla.Value // the calls that clients may make, by client and number
	symmetries [][]tla.Model
}

// onceOf says which messages are received at most once, by the names that
// MCDalio.tla has for it.
var onceOf = map[string]func(kind string) bool{
	"Never":   func(string) bool { return false },
	"Always":  func(string) bool { return true },
	"InReads": func(kind string) bool { return strings.HasPrefix(kind, "Read") },
}

// readConstants takes what it needs from a configuration, and refuses what the
// machine would get wrong: a cure turned off, or writes refused in passing.
func readConstants(c cfg.Config, calls tla.Value) (*constants, error) {
	k := &constants{calls: calls}
	for name, text := range c.Constants {
		value, plain := strings.CutPrefix(text, "= ")
		if !plain {
			continue
		}
		v, err := tla.Parse(value)
		if err != nil {
			return nil, fmt.Errorf("constant %s: %w", name, err)
		}
		if err := k.set(name, v); err != nil {
			return nil, fmt.Errorf("constant %s = %s: %w", name, v, err)
		}
	}
	k.once = onceOf[strings.TrimPrefix(c.Constants["Once"], "<- ")]
	if k.once == nil {
		return nil, fmt.Errorf("constant Once %q is not known here", c.Constants["Once"])
	}
	if n := len(k.slots); n&(n-1) != 0 || n == 0 {
		return nil, fmt.Errorf("%d slots are no table: it has a power of two", n)
	}
	return k, nil
}

func (k *constants) set(name string, v tla.Value) error {
	switch name {
	case "Clients":
		k.clients = texts(v)
	case "Keys":
		k.keys = texts(v)
	case "Replicas":
		k.replicas = models(v)
		k.symmetries = append(k.symmetries, k.replicas)
	case "Slots":
		k.slots = models(v)
		k.symmetries = append(k.symmetries, k.slots)
	case "Serving":
		k.serving = v.(tla.Set)
	case "Quitters":
		k.quitters = v.(tla.Set)
	case "Epoch":
		k.epoch = protocol.Epoch(v.(tla.Int))
	case "LastSeq":
		k.lastSeq = uint64(v.(tla.Int))
	case "LastCount":
		k.lastCount = int(v.(tla.Int))
	case "MaxHops":
		k.maxHops = int(v.(tla.Int))
	case "Losses":
		k.losses = int(v.(tla.Int))
	case "Collects":
		k.collects = bool(v.(tla.Bool))
	case "MayRefuse", "Exact":
		if v != tla.Bool(false) {
			return fmt.Errorf("must be FALSE in a conformance model")
		}
	case "Values", "Absent", "None":
	default:
		if _, model := v.(tla.Model); !model && v != tla.Bool(true) {
			return fmt.Errorf("is not known here, or is a cure turned off")
		}
	}
	return nil
}

func texts(v tla.Value) (all []string) {
	for _, e := range v.(tla.Set) {
		all = append(all, string(e.(tla.String)))
	}
	return all
}

func models(v tla.Value) (all []tla.Model) {
	for _, e := range v.(tla.Set) {
		all = append(all, e.(tla.Model))
	}
	return all
}
