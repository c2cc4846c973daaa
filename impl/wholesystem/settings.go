// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"errors"
	"fmt"
	"time"

	"dalio/protocol"
)

// Bounds of Settings.
const (
	maxKeys    = 8_000_000
	maxSockets = 16
	// maxLanes bounds those of a socket: what a driver takes at once, with room for an
	// answer more for each.
	maxLanes = batch / 2
	maxValue = 1024
	// keySize is that of every key, in bytes.
	keySize = 16
)

// Settings say what load all contenders get.
type Settings struct {
	// Replicas must all acknowledge writes, and all serve reads.
	Replicas int `json:"replicas"`
	// Keys are drawn by Zipf 0.99; each has a value of ValueSize bytes.
	Keys      int `json:"keys"`
	ValueSize int `json:"value_size"`
	// Clients have one operation open each. They share Sockets sockets evenly.
	Clients int `json:"clients"`
	Sockets int `json:"sockets"`
	// Warm is the load before a sample, and Window the length of one.
	Warm   time.Duration `json:"warm_ns"`
	Window time.Duration `json:"window_ns"`
	// Recorded is how long each history is.
	Recorded time.Duration `json:"recorded_ns"`
	Rounds   int           `json:"rounds"`
}

// DefaultSettings returns those of the contracted ratios. With 64 clients the processors
// wait for them more often, and with 192 frames are lost in rings.
func DefaultSettings() Settings {
	return Settings{Replicas: 3, Keys: 1_000_000, ValueSize: 64, Clients: 128, Sockets: 2,
		Warm: 300 * time.Millisecond, Window: time.Second, Recorded: 300 * time.Millisecond, Rounds: 12}
}

// ErrSettings is returned for settings that can't work.
var ErrSettings = errors.New("bad settings of the whole system")

func (s Settings) validate() error {
	switch {
	case s.Replicas < 1 || s.Replicas > protocol.MaxMembers:
		return fmt.Errorf("%w: %d replicas, want 1 to %d", ErrSettings, s.Replicas, protocol.MaxMembers)
	case s.Keys < 1 || s.Keys > maxKeys:
		return fmt.Errorf("%w: %d keys, want 1 to %d", ErrSettings, s.Keys, maxKeys)
	case s.ValueSize < 1 || s.ValueSize > maxValue:
		return fmt.Errorf("%w: values of %d bytes, want 1 to %d", ErrSettings, s.ValueSize, maxValue)
	case s.Sockets < 1 || s.Sockets > maxSockets:
		return fmt.Errorf("%w: %d sockets, want 1 to %d", ErrSettings, s.Sockets, maxSockets)
	case s.Clients < s.Sockets || s.Clients > s.Sockets*maxLanes:
		return fmt.Errorf("%w: %d clients on %d sockets, want 1 to %d for each", ErrSettings, s.Clients, s.Sockets, maxLanes)
	case s.Window < 10*time.Millisecond || s.Warm < 0 || s.Recorded < 10*time.Millisecond || s.Rounds < 1:
		return fmt.Errorf("%w: %d rounds of %v after %v and histories of %v, want at least one of 10ms and no less", ErrSettings, s.Rounds, s.Window, s.Warm, s.Recorded)
	}
	return nil
}

// room is how many bytes key and value have together, as the read path takes it.
func (s Settings) room() int { return (keySize + s.ValueSize + 7) / 8 * 8 }
