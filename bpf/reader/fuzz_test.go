// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"testing"

	"dalio/protocol"
)

// FuzzFrames: whatever comes, the program answers what the model would, or leaves the
// frame as it came.
func FuzzFrames(f *testing.F) {
	g := newRig(f, Options{})
	g.put(f, "key", "value", v(1))
	g.put(f, "a longer key", "another value", v(2))
	g.put(f, "empty", "", v(3))
	for _, key := range []string{"key", "a longer key", "empty", "absent"} {
		m := read(key, 1)
		f.Add(protocol.NewFrame(&m, coordinator, self), false)
	}
	write := put("key", "later", v(9))
	f.Add(protocol.NewFrame(&write, coordinator, self), true)
	f.Fuzz(func(t *testing.T, frame []byte, repaired bool) {
		if len(frame) < 14 || len(frame) > 1514 {
			return // The kernel runs programs on no others.
		}
		// The model's writes would change the table.
		if len(frame) > protocol.FrameOverhead+3 && frame[protocol.FrameOverhead+3] != byte(protocol.Read) && repaired {
			frame[protocol.FrameOverhead+3] = byte(protocol.Read)
		}
		if repaired && len(frame) >= protocol.FrameOverhead {
			putChecksum(frame)
		}
		if err := g.handle(frame); err != nil {
			t.Fatal(err)
		}
	})
}
