// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dalio/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a replica's stand-in, and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc, o Options) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	c := NewClient(netip.MustParseAddrPort(server.Listener.Addr().String()), o)
	t.Cleanup(func() { c.Close(); server.CloseClientConnections(); server.Close() })
	return c
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestStatusIsRead(t *testing.T) {
	want := Status{Instance: "i", Shard: "s", ID: 17, Epoch: 3, Open: true, Floor: protocol.Version{Epoch: 3, Seq: 1 << 60},
		CatchUp: Progress{State: Running, Source: netip.MustParseAddrPort("10.0.0.1:7411"), Done: 1, Total: 2}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"floor":{"epoch":3,"seq":1152921504606846976}`) {
		t.Errorf("encoded as %s", b)
	}
	c := serve(t, answer(string(b)), Options{})
	got, err := c.Status(t.Context())
	if err != nil || got.Floor != want.Floor || got.CatchUp != want.CatchUp || got.ID != want.ID {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestRefusalsAreErrors(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"error":"epoch 3 is past","id":17,"epoch":5}`)
	}, Options{})
	_, err := c.Fence(t.Context(), Fence{Shard: "s", Epoch: 3})
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != http.StatusConflict || refused.Epoch != 5 || refused.ID != 17 {
		t.Fatalf("got %v", err)
	}
	if s := err.Error(); !strings.Contains(s, "epoch 3 is past") || !strings.Contains(s, c.Address().String()) || strings.Contains(s, "\n") {
		t.Errorf("said %q", s)
	}
	for _, call := range []func() error{
		func() error { return c.Assign(t.Context(), Assignment{}) },
		func() error { return c.Open(t.Context(), 1) },
		func() error { return c.Settle(t.Context(), Settlement{}) },
		func() error { return c.CatchUp(t.Context(), CatchUp{}) },
		func() error { return c.Expel(t.Context(), 1) },
		func() error { return c.Recent(t.Context(), nil) },
		func() error { return c.Range(t.Context(), 1, 0, 0, nil) },
		func() error {
			endless := func(yield func(*protocol.Message) bool) {
				for yield(&protocol.Message{Value: make([]byte, 1000)}) {
				}
			}
			return c.Install(t.Context(), 1, endless)
		},
	} {
		if err := call(); !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
	}
}

func TestWhatIsNotOfAReplica(t *testing.T) {
	for body, want := range map[string]string{
		"<html>":                   "decode the answer",
		`{"bits":1,"ranges":[{}]}`: "1 digests of 1 bits, want 2 of 1",
		strings.Repeat(" ", 2<<20): "decode the answer",
	} {
		if _, err := serve(t, answer(body), Options{}).Digests(t.Context(), 1, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", body, err, want)
		}
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you?", http.StatusTeapot) }, Options{})
	var refused *Error
	if err := c.Open(t.Context(), 1); !errors.As(err, &refused) || refused.Code != http.StatusTeapot || !strings.Contains(err.Error(), "who are you?") {
		t.Errorf("got %v", err)
	}
	visited := 0
	err := serve(t, answer("\x00\x00\x00\x01"), Options{}).Recent(t.Context(), func(*protocol.Message) error { visited++; return nil })
	if !errors.Is(err, ErrBadStream) || visited != 0 {
		t.Errorf("%d messages, %v", visited, err)
	}
}

func TestVisitorEndsAStream(t *testing.T) {
	enough := errors.New("enough")
	stream := encode(t, testMessages(3))
	c := serve(t, answer(string(stream)), Options{})
	visited := 0
	if err := c.Sessions(t.Context(), 1, func(*protocol.Message) error { visited++; return enough }); !errors.Is(err, enough) || visited != 1 {
		t.Errorf("%d messages, %v", visited, err)
	}
}

// TestWaitsAreBounded: a replica that takes a request and says nothing, or stops
// in the midst of a stream, holds nobody up.
func TestWaitsAreBounded(t *testing.T) {
	const short = 50 * time.Millisecond
	silent := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == RecentPath {
			_, _ = w.Write(encode(t, testMessages(3))[:100])
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
	begun := time.Now()
	c := serve(t, silent, Options{Timeout: short})
	if _, err := c.Status(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("status: %v", err)
	}
	c = serve(t, silent, Options{Stall: short})
	var timeout net.Error
	if err := c.Recent(t.Context(), func(*protocol.Message) error { return nil }); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a stream that stalls: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if err := serve(t, silent, Options{}).Range(ctx, 1, 0, 0, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stream whose context ends: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(netip.MustParseAddrPort(l.Addr().String()), Options{})
	l.Close()
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}
