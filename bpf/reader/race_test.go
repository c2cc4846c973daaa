// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalio/protocol"
)

// raceAnswers is how many answers a race must see, and raceTime for how long it goes
// on at most.
const (
	raceAnswers = 20_000
	raceTime    = 3 * time.Second
)

// TestNoTornAnswers: a cell is read while another processor writes it, and no answer
// has some of one record and some of another. TestEveryInterleaving has every order of
// their steps; here it is the real Table.
func TestNoTornAnswers(t *testing.T) {
	g := newRig(t, Options{Room: MaxRoom})
	key := []byte("key")
	var records [2]protocol.Record
	for i := range records {
		value := []byte(strings.Repeat(string(rune('a'+i)), 1300-700*i))
		records[i] = protocol.Record{Version: v(uint64(i)), Writer: protocol.SessionID(i), Op: protocol.OpPut, Digest: protocol.Digest(key, value), Value: value}
	}
	g.Table.Put(key, records[0])
	m := read("key", 1)
	frame := protocol.NewFrame(&m, coordinator, self)
	var stop atomic.Bool
	var writing sync.WaitGroup
	writing.Go(func() {
		for round := 0; !stop.Load(); round++ {
			g.Table.Put(key, records[round%2])
		}
	})
	defer func() {
		stop.Store(true)
		writing.Wait()
	}()
	answers := 0
	for end := time.Now().Add(raceTime); answers < raceAnswers && (answers == 0 || time.Now().Before(end)); {
		answer, _, err := g.Run(frame)
		if err != nil {
			t.Fatal(err)
		}
		if answer == nil {
			continue
		}
		answers++
		var a protocol.Message
		if err := a.Unmarshal(answer[protocol.FrameOverhead:]); err != nil {
			t.Fatal(err)
		}
		want := records[a.Version.Seq%2]
		if a.Digest != want.Digest || a.Writer != want.Writer || !bytes.Equal(a.Value, want.Value) {
			t.Fatalf("a torn answer: version %v, writer %v, digest %x, %d bytes of value from %q to %q", a.Version, a.Writer, a.Digest,
				len(a.Value), a.Value[:1], a.Value[len(a.Value)-1:])
		}
	}
}
