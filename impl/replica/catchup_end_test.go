// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"dalio/impl/replica"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// silentSource is asked to tell of its sessions, and does not answer until who asked has
// gone.
func silentSource(t *testing.T) (address netip.AddrPort, asked, gone <-chan struct{}) {
	began, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections() // Somebody may ask still.
		s.Close()
	})
	return netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://")), began, ended
}

// TestCatchUpEndsWhenItIsOfNoUse: by another source, another membership, or none.
func TestCatchUpEndsWhenItIsOfNoUse(t *testing.T) {
	other := newNode(t, nil)
	other.must(other.assign(16, 1))
	for what, end := range map[string]func(n *node) error{
		"another source": func(n *node) error {
			return n.api.CatchUp(t.Context(), control.CatchUp{ID: 17, Epoch: 1, Source: other.address})
		},
		"a fence":         func(n *node) error { return n.fence(2) },
		"its expulsion":   func(n *node) error { return n.api.Expel(t.Context(), 17) },
		"another member":  func(n *node) error { return n.assign(33, 1) },
		"the end of life": func(n *node) error { return n.end() },
	} {
		n := newNode(t, nil)
		n.must(n.assign(17, 1))
		source, asked, gone := silentSource(t)
		n.must(n.api.CatchUp(t.Context(), control.CatchUp{ID: 17, Epoch: 1, Source: source}))
		for _, step := range []struct {
			what string
			done <-chan struct{}
			then func(n *node) error
		}{{"began", asked, end}, {"ended", gone, func(*node) error { return nil }}} {
			select {
			case <-step.done:
				n.must(step.then(n))
			case <-time.After(patience / 2): // Its client gives up by itself after patience.
				t.Fatalf("%s: the catch-up has not %s", what, step.what)
			}
		}
	}
}

// TestCatchUpOfNobody: who has no membership has nothing to catch up.
func TestCatchUpOfNobody(t *testing.T) {
	n := newNode(t, nil)
	if err := n.api.CatchUp(t.Context(), control.CatchUp{Source: n.address}); !refused(err, "not member 0") {
		t.Errorf("without a membership: %v", err)
	}
}

// TestCatchUpRemovesWhatItsSourceLacks: what was on the disk before the membership began
// and the source does not hold is gone afterwards, and is found by no later one.
func TestCatchUpRemovesWhatItsSourceLacks(t *testing.T) {
	source, store := newNode(t, nil), openDisk(t, t.TempDir())
	joiner := newNode(t, store)
	t.Cleanup(func() { joiner.must(joiner.end()); joiner.must(store.Close()) })
	source.must(source.assign(16, 2))
	source.put("both", "new", 1)
	joiner.must(joiner.assign(17, 1))
	joiner.put("both", "old", 1)
	// Several are in one range.
	for i, seq := 0, uint64(2); seq < 10; i++ {
		if key := fmt.Sprint("surplus", i); replica.StripeOf([]byte(key)) == replica.StripeOf([]byte("both")) {
			joiner.put(key, "old", seq)
			seq++
		}
	}
	joiner.must(joiner.assign(33, 2))
	joiner.must(joiner.api.Range(t.Context(), 2, 0, 0, func(m *protocol.Message) error {
		t.Errorf("it sends %q, which is from before", m.Key)
		return nil
	}))
	if p := joiner.catchUp(source, 0); p.State != control.Done {
		t.Fatalf("%+v", p)
	}
	if s := joiner.status(); s.Records != 1 {
		t.Errorf("it holds %d records, and the source 1", s.Records)
	}
	if m := joiner.get("both"); string(m.Value) != "new" {
		t.Errorf("of the key that both have it holds %q", m.Value)
	}
}
