// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// catchUp waits until the node has caught up with the source.
func (n *node) catchUp(source *node, rate int64) control.Progress {
	n.t.Helper()
	n.must(n.api.CatchUp(n.t.Context(), control.CatchUp{ID: n.id, Epoch: n.epoch, Source: source.address, Rate: rate}))
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		p := n.status().CatchUp
		if p.State != control.Running {
			return p
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("still catching up: %+v", p)
		}
	}
}

// TestCatchUpUnderWrites joins a replica while both get writes: in the end it
// holds all that the source holds, in one version or a newer one.
func TestCatchUpUnderWrites(t *testing.T) {
	source, joiner := newNode(t, nil), newNode(t, nil)
	source.must(source.assign(16, 1))
	joiner.must(joiner.assign(17, 1))
	const before = 3000
	for seq := uint64(1); seq <= before; seq++ {
		source.put(fmt.Sprint("k", seq%1000), fmt.Sprint("v", seq), seq)
	}
	source.must(source.api.Settle(t.Context(), control.Settlement{Epoch: 1, Floor: protocol.Version{Epoch: 1, Seq: before}}))
	stop, stopped := make(chan struct{}), make(chan uint64)
	go func() {
		seq := uint64(before)
		for {
			select {
			case <-stop:
				stopped <- seq
				return
			default:
			}
			seq++
			first, second := source, joiner
			if seq%2 == 0 {
				first, second = joiner, source
			}
			first.put(fmt.Sprint("k", seq%1500), fmt.Sprint("v", seq), seq)
			second.put(fmt.Sprint("k", seq%1500), fmt.Sprint("v", seq), seq)
		}
	}()
	p := joiner.catchUp(source, 0)
	close(stop)
	last := <-stopped
	if p.State != control.Done || p.Done != p.Total || p.Records == 0 || last == before {
		t.Fatalf("caught up: %+v, with %d writes meanwhile", p, last-before)
	}
	for i := range 1500 {
		key := fmt.Sprint("k", i)
		if a, b := source.get(key), joiner.get(key); a.Version != b.Version || string(a.Value) != string(b.Value) {
			t.Errorf("%s: the source holds %v, the joiner %v", key, a.Version, b.Version)
		}
	}
	if a, b := source.status(), joiner.status(); a.Sessions != b.Sessions || a.Records != b.Records {
		t.Errorf("source %+v\njoiner %+v", a, b)
	}
}

func TestCatchUpWithNobody(t *testing.T) {
	gone, joiner := newNode(t, nil), newNode(t, nil)
	joiner.must(joiner.assign(17, 1))
	if p := joiner.catchUp(gone, 0); p.State != control.Failed || !strings.Contains(p.Error, "nobody can catch up") {
		t.Errorf("from a replica that is no member: %+v", p)
	}
	gone.must(gone.assign(16, 1))
	gone.put("k", "v", 1)
	if p := joiner.catchUp(gone, 0); p.State != control.Done {
		t.Errorf("when it has become one: %+v", p)
	}
	if m := joiner.get("k"); string(m.Value) != "v" {
		t.Errorf("it holds %+v", m)
	}
	// Another source may hold more, so all of it is looked at.
	other := newNode(t, nil)
	other.must(other.assign(18, 1))
	other.put("l", "w", 2)
	if p := joiner.catchUp(other, 0); p.State != control.Done || p.Source != other.address {
		t.Errorf("from another source: %+v", p)
	}
	if m := joiner.get("l"); string(m.Value) != "w" {
		t.Errorf("from another source it has got %+v", m)
	}
	// What an earlier membership has caught up with says nothing of the next.
	joiner.must(joiner.assign(33, 1))
	if p := joiner.status().CatchUp; p.State != control.None || p.Source.IsValid() {
		t.Errorf("under a new id: %+v", p)
	}
}

func TestCatchUpKeepsItsRate(t *testing.T) {
	source, joiner := newNode(t, nil), newNode(t, nil)
	source.must(source.assign(16, 1))
	joiner.must(joiner.assign(17, 1))
	value := strings.Repeat("x", 1000)
	for seq := uint64(1); seq <= 1000; seq++ {
		source.put(fmt.Sprint("k", seq), value, seq)
	}
	const rate = 1 << 20
	begun := time.Now()
	p := joiner.catchUp(source, rate)
	took := time.Since(begun).Seconds()
	if p.Bytes < 1000*1000 {
		t.Errorf("it tells of %d bytes received", p.Bytes)
	}
	// What may come at once does not count. A busy machine may be slower.
	if got := float64(p.Bytes-256<<10) / took; p.State != control.Done || got > 1.2*rate {
		t.Errorf("%d bytes in %.2f s at most %d a second: %+v", p.Bytes, took, rate, p)
	}
}
