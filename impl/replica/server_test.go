// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dalio/impl/replica"
	"dalio/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testID    protocol.ReplicaID = 17
	testEpoch protocol.Epoch     = 3
	patience                     = 10 * time.Second
)

// peer stands where the coordinator stands, and speaks with one replica.
type peer struct {
	t    testing.TB
	conn *net.UDPConn
	end  func() error
	srv  *replica.Server
}

func start(t testing.TB, o replica.Options) *peer {
	t.Helper()
	o.ID, o.Epoch = testID, testEpoch
	srv, err := replica.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()
	conn, err := net.DialUDP("udp4", nil, srv.Addr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	end := sync.OnceValue(func() error {
		cancel()
		conn.Close()
		select {
		case err := <-served:
			return err
		case <-time.After(patience):
			return errors.New("the server did not stop")
		}
	})
	t.Cleanup(func() { _ = end() })
	return &peer{t: t, conn: conn, end: end, srv: srv}
}

func (p *peer) send(m protocol.Message) {
	p.t.Helper()
	if _, err := p.conn.Write(m.Append(nil)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) receive() protocol.Message {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 2048)
	n, err := p.conn.Read(buffer)
	if err != nil {
		p.t.Fatalf("no answer: %v", err)
	}
	var m protocol.Message
	if err := m.Unmarshal(buffer[:n]); err != nil {
		p.t.Fatal(err)
	}
	return m
}

func write(key, value string, seq uint64) protocol.Message {
	return protocol.Message{Type: protocol.Write, Op: protocol.OpPut, Epoch: testEpoch, Replica: testID,
		Version: protocol.Version{Epoch: testEpoch, Seq: seq}, Session: 5, Writer: 5, Request: seq,
		KeyHash: protocol.KeyHash([]byte(key)), Digest: protocol.Digest([]byte(key), []byte(value)),
		Key: []byte(key), Value: []byte(value)}
}

func read(key string) protocol.Message {
	return protocol.Message{Type: protocol.Read, Epoch: testEpoch, Replica: testID, Request: 1,
		KeyHash: protocol.KeyHash([]byte(key)), Key: []byte(key)}
}

func TestNewestVersionIsKept(t *testing.T) {
	p := start(t, replica.Options{})
	p.send(write("k", "new", 2))
	if m := p.receive(); m.Type != protocol.WriteAck || m.Version.Seq != 2 || m.Replica != testID {
		t.Fatalf("the write was answered with %+v", m)
	}
	p.send(write("k", "old", 1))
	if m := p.receive(); m.Type != protocol.WriteAck || m.Version.Seq != 1 {
		t.Fatalf("the stale write was answered with %+v", m)
	}
	p.send(read("k"))
	if m := p.receive(); m.Type != protocol.ReadReply || string(m.Value) != "new" || m.Version.Seq != 2 || m.Writer != 5 {
		t.Fatalf("the read was answered with %+v", m)
	}
	p.send(read("never"))
	if m := p.receive(); m.Op != protocol.OpNone || m.Version != (protocol.Version{}) || len(m.Value) != 0 {
		t.Fatalf("the read of an absent key was answered with %+v", m)
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	p := start(t, replica.Options{})
	for _, spoil := range []func(*protocol.Message){
		func(m *protocol.Message) { m.Epoch++ },
		func(m *protocol.Message) { m.Replica += 16 },
		func(m *protocol.Message) { m.Type = protocol.WriteRequest },
		func(m *protocol.Message) { m.KeyHash++ },
		func(m *protocol.Message) { m.Digest++ },
	} {
		m := write("k", "v", 1)
		spoil(&m)
		p.send(m)
	}
	if _, err := p.conn.Write([]byte("not a message")); err != nil {
		t.Fatal(err)
	}
	p.send(read("k")) // Its answer says that all before it were handled.
	if m := p.receive(); m.Type != protocol.ReadReply || m.Op != protocol.OpNone {
		t.Fatalf("a refused message had an effect: %+v", m)
	}
	c := p.srv.Counters()
	for _, r := range protocol.Refusals() {
		if c.Refused[r.String()] != 1 {
			t.Errorf("refused for %v: %d, want 1", r, c.Refused[r.String()])
		}
	}
	if c.Malformed != 1 || c.Reads != 1 || c.Writes != 0 {
		t.Errorf("counters %+v, want 1 malformed, 1 read, no write", c)
	}
}

// TestLargestMessages sends the largest write, and a longer datagram that starts
// like one: the replica must not keep a value that it could not send back.
func TestLargestMessages(t *testing.T) {
	p := start(t, replica.Options{})
	value := string(bytes.Repeat([]byte("x"), protocol.MaxPayloadSize-1))
	p.send(write("k", value, 1))
	p.receive()
	long := write("l", value, 2)
	if _, err := p.conn.Write(append(long.Append(nil), "beyond"...)); err != nil {
		t.Fatal(err)
	}
	p.send(read("k"))
	if m := p.receive(); string(m.Value) != value {
		t.Fatalf("the largest value came back with %d bytes", len(m.Value))
	}
	oversize := append(long.Append(nil), "beyond"...)
	oversize[66], oversize[67] = byte((len(value)+6)>>8), byte(len(value)+6)
	if _, err := p.conn.Write(oversize); err != nil {
		t.Fatal(err)
	}
	p.send(read("k"))
	p.receive()
	if c := p.srv.Counters(); c.Malformed != 2 {
		t.Errorf("counters %+v, want 2 malformed", c)
	}
}

// TestConcurrentWritersOfOneKey has several workers apply writes of few keys, and
// then expects each key's newest version; the race detector watches the values.
func TestConcurrentWritersOfOneKey(t *testing.T) {
	p := start(t, replica.Options{Workers: 4, Batch: 4})
	const keys, writes, window = 3, 3000, 32
	newest := make(map[string]string)
	sent, received := 0, 0
	for seq := 1; seq <= writes; seq++ {
		key := fmt.Sprint("k", seq%keys)
		newest[key] = fmt.Sprint(key, "=", seq)
		p.send(write(key, newest[key], uint64(seq)))
		sent++
		if seq%5 == 0 {
			p.send(read(key))
			sent++
		}
		for ; sent-received > window; received++ {
			p.receive()
		}
	}
	for ; received < sent; received++ {
		p.receive()
	}
	for key, want := range newest {
		p.send(read(key))
		if m := p.receive(); string(m.Value) != want {
			t.Errorf("%s ends as %q, want %q", key, m.Value, want)
		}
	}
}

// slowStore becomes durable when told to.
type slowStore struct {
	*replica.MemoryStore
	sync chan error
}

func (s slowStore) Sync() error { return <-s.sync }

func TestAcknowledgementsWaitForTheStore(t *testing.T) {
	store := slowStore{replica.NewMemoryStore(), make(chan error)}
	p := start(t, replica.Options{Store: store})
	p.send(write("k", "v", 1))
	_ = p.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := p.conn.Read(make([]byte, 2048)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("acknowledged before the store was durable (%v)", err)
	}
	store.sync <- nil
	if m := p.receive(); m.Type != protocol.WriteAck {
		t.Fatalf("answered with %+v", m)
	}
	p.send(read("k")) // Reads do not sync.
	p.receive()
	p.send(write("k", "w", 2))
	store.sync <- errors.New("disk full")
	if err := p.end(); err == nil || !strings.Contains(err.Error(), "disk full") || !strings.Contains(err.Error(), "replica 17") {
		t.Fatalf("Serve returned %v, want the store's error", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		addr string
		o    replica.Options
		want string
	}{
		"no id":        {"127.0.0.1:0", replica.Options{Epoch: 1}, "16 is the first"},
		"no epoch":     {"127.0.0.1:0", replica.Options{ID: 16}, "epochs start at 1"},
		"address":      {"localhost", replica.Options{ID: 16, Epoch: 1}, "10.0.0.2:7411"},
		"ipv6":         {"[::1]:7411", replica.Options{ID: 16, Epoch: 1}, "IPv4"},
		"not here":     {"192.0.2.1:7411", replica.Options{ID: 16, Epoch: 1}, "open the replica's socket"},
		"negative":     {"127.0.0.1:0", replica.Options{ID: 16, Epoch: 1, Batch: -1}, "negative"},
		"small id":     {"127.0.0.1:0", replica.Options{ID: 15, Epoch: 1}, "generation"},
		"out of range": {"127.0.0.1:99999", replica.Options{ID: 16, Epoch: 1}, "port is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := replica.Listen(c.addr, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Listen returned %v, want an error with %q", err, c.want)
			}
		})
	}
}
