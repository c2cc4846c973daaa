// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// middleman stands between a joiner and its source, and may break or change what
// passes.
type middleman struct {
	address netip.AddrPort

	mu sync.Mutex
	// fetched counts the requests for each range.
	fetched map[string]int
	// broken, if set, says of the nth request for a range whether its connection breaks.
	broken func(n int) bool
	// hide is a key that the first answer with it lacks.
	hide string
	n    int
}

func newMiddleman(t *testing.T, source *node) *middleman {
	m := &middleman{fetched: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: source.address.String()})
	proxy.ModifyResponse = m.change
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == control.RangePath && m.breaks(r.FormValue("range")) {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	m.address = server.Listener.Addr().(*net.TCPAddr).AddrPort()
	return m
}

func (m *middleman) breaks(index string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	if m.broken != nil && m.broken(m.n) {
		return true
	}
	m.fetched[index]++
	return false
}

// change takes the hidden key out of the first range that has it.
func (m *middleman) change(r *http.Response) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hide == "" || !strings.HasPrefix(r.Request.URL.Path, control.RangePath) {
		return nil
	}
	var out bytes.Buffer
	in, w := control.NewReader(r.Body), control.NewWriter(&out)
	var message protocol.Message
	for {
		err := in.Read(&message)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if string(message.Key) == m.hide {
			m.hide = ""
			continue
		}
		if err := w.Write(&message); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(&out), int64(out.Len())
	r.Header.Del("Content-Length")
	return nil
}

// through has the node catch up with the source behind the middleman, and waits for
// the end of it.
func (n *node) through(m *middleman) control.Progress {
	return n.catchUp(&node{address: m.address}, 0)
}

// TestCatchUpGoesOnWhereItFailed: what has been fetched before the connection broke
// for good is not fetched again.
func TestCatchUpGoesOnWhereItFailed(t *testing.T) {
	source, joiner := newNode(t, nil), newNode(t, nil)
	source.must(source.assign(16, 1))
	joiner.must(joiner.assign(17, 1))
	for seq := uint64(1); seq <= 2000; seq++ {
		source.put("k"+strings.Repeat("a", int(seq%200)+1), "v", seq)
	}
	m := newMiddleman(t, source)
	m.broken = func(n int) bool { return n > 50 }
	if p := joiner.through(m); p.State != control.Failed || p.Done < 50 || p.Retries == 0 {
		t.Fatalf("with a connection that breaks: %+v", p)
	}
	m.mu.Lock()
	m.broken = nil
	m.mu.Unlock()
	if p := joiner.through(m); p.State != control.Done {
		t.Fatalf("with one that does not break any more: %+v", p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for index, times := range m.fetched {
		if times != 1 {
			t.Errorf("range %s was fetched %d times", index, times)
		}
	}
	if a, b := source.status(), joiner.status(); a.Records != b.Records || len(m.fetched) < 100 {
		t.Errorf("%d of %d records in %d ranges", b.Records, a.Records, len(m.fetched))
	}
}

// TestCatchUpComparesDigests: a source that hands out less than it holds is found
// out, before the joiner counts as in sync.
func TestCatchUpComparesDigests(t *testing.T) {
	source, joiner := newNode(t, nil), newNode(t, nil)
	source.must(source.assign(16, 1))
	joiner.must(joiner.assign(17, 1))
	for seq := uint64(1); seq <= 500; seq++ {
		source.put("k"+strings.Repeat("a", int(seq%100)+1), "v", seq)
	}
	source.must(source.api.Settle(t.Context(), control.Settlement{Epoch: 1, Floor: protocol.Version{Epoch: 1, Seq: 500}}))
	m := newMiddleman(t, source)
	m.hide = "kaaaaaaa"
	if p := joiner.through(m); p.State != control.Failed || !strings.Contains(p.Error, "1 settled records were missing") {
		t.Errorf("a record was left out, and it says %+v", p)
	}
	if p := joiner.through(m); p.State != control.Done {
		t.Errorf("with all records: %+v", p)
	}
}

// TestCatchUpStallsNoTraffic: a joiner that takes nothing holds up no write.
func TestCatchUpStallsNoTraffic(t *testing.T) {
	source := newNode(t, nil)
	source.must(source.assign(16, 1))
	value := strings.Repeat("x", 1300)
	const records = 12_000
	for seq := uint64(1); seq <= records; seq++ {
		source.put(fmt.Sprint("k", seq), value, seq)
	}
	conn, err := net.Dial("tcp4", source.address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET "+control.RangePath+"?epoch=1&bits=0&range=0 HTTP/1.1\r\nHost: source\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	// For long enough that all buffers in between are full.
	for seq, start := uint64(records+1), time.Now(); time.Since(start) < time.Second; seq++ {
		begun := time.Now()
		source.put(fmt.Sprint("k", seq%records), value, seq)
		if took := time.Since(begun); took > time.Second {
			t.Fatalf("a write took %v", took)
		}
	}
}
