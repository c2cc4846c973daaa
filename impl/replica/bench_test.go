// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

const benchKeys = 1024

// messages returns reads, or writes with growing versions, of many keys.
func messages(kind protocol.MessageType) func(i int) *protocol.Message {
	value := make([]byte, 64)
	keys := make([][]byte, benchKeys)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%08d", i)
	}
	var m protocol.Message
	return func(i int) *protocol.Message {
		key := keys[i%benchKeys]
		m = protocol.Message{Type: kind, Epoch: 1, Replica: 16, Key: key, KeyHash: protocol.KeyHash(key), Request: uint64(i)}
		if kind == protocol.Write {
			m.Op, m.Value, m.Version = protocol.OpPut, value, protocol.Version{Epoch: 1, Seq: uint64(i + 1)}
			m.Digest = protocol.Digest(key, value)
		}
		return &m
	}
}

func newBenchWorker(tb testing.TB) *worker {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	s, err := New(conn, Options{ID: 16, Epoch: 1})
	if err != nil {
		tb.Fatal(err)
	}
	return newWorker(s)
}

// handleOne gives the worker one message and takes its answer away.
func handleOne(w *worker, m *protocol.Message, buffer []byte) {
	w.take(m.Append(buffer[:0]), netip.AddrPort{})
	w.handleAll()
	w.answers.Reset()
}

func TestKnownKeysCostNoAllocation(t *testing.T) {
	for _, kind := range []protocol.MessageType{protocol.Read, protocol.Write} {
		w, next, buffer, i := newBenchWorker(t), messages(kind), make([]byte, 0, datagram.MaxSize), 0
		for ; i < benchKeys; i++ {
			handleOne(w, next(i), buffer)
		}
		if n := testing.AllocsPerRun(benchKeys, func() { handleOne(w, next(i), buffer); i++ }); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
	}
}

func TestBatchesCostNoAllocation(t *testing.T) {
	p := newPump(t, protocol.Write)
	p.run(benchKeys * 2)
	const operations = 10000
	result := testing.AllocsPerRun(1, func() { p.run(operations) })
	if result > operations/100 { // The rest of the process allocates now and then.
		t.Errorf("%v allocations for %d writes through sockets", result, operations)
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, kind := range []protocol.MessageType{protocol.Read, protocol.Write} {
		b.Run(kind.String(), func(b *testing.B) {
			w, next, buffer, i := newBenchWorker(b), messages(kind), make([]byte, 0, datagram.MaxSize), 0
			b.ReportAllocs()
			for b.Loop() {
				handleOne(w, next(i), buffer)
				i++
			}
		})
	}
}

// BenchmarkLoopback is the whole server, with its system calls, as one peer
// that keeps 256 messages in flight sees it.
func BenchmarkLoopback(b *testing.B) {
	for _, kind := range []protocol.MessageType{protocol.Read, protocol.Write} {
		b.Run(kind.String(), func(b *testing.B) {
			p := newPump(b, kind)
			p.run(benchKeys * 2)
			b.ResetTimer()
			p.run(b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// pump keeps a server busy over loopback.
type pump struct {
	tb   testing.TB
	conn *datagram.Conn
	udp  *net.UDPConn
	to   netip.AddrPort
	next func(int) *protocol.Message
	sent int
	in   *datagram.Batch
	out  *datagram.Batch
}

func newPump(tb testing.TB, kind protocol.MessageType) *pump {
	s, err := Listen("127.0.0.1:0", Options{ID: 16, Epoch: 1})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := datagram.SetReceiveBuffer(udp, DefaultReceiveBuffer); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
		udp.Close()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return &pump{tb: tb, conn: datagram.NewConn(udp), udp: udp, to: s.Addr().(*net.UDPAddr).AddrPort(),
		next: messages(kind), in: datagram.NewBatch(64), out: datagram.NewBatch(64)}
}

// run has n messages answered.
func (p *pump) run(n int) {
	const window = 256
	_ = p.udp.SetReadDeadline(time.Now().Add(time.Minute))
	for started, answered := 0, 0; answered < n; {
		p.out.Reset()
		for started < n && started-answered < window && !p.out.Full() {
			p.out.Add(p.next(p.sent), p.to)
			p.sent++
			started++
		}
		if _, err := p.conn.Write(p.out); err != nil {
			p.tb.Fatal(err)
		}
		if started-answered == window || started == n {
			if err := p.conn.Read(p.in); err != nil {
				p.tb.Fatal(err)
			}
			answered += p.in.Len()
		}
	}
}

// BenchmarkManyKeys is what a write costs of a million keys, most of which are not in
// the processor's caches, by how many come together: enough for the clock to be seen to
// take no part in it.
func BenchmarkManyKeys(b *testing.B) {
	const keys = 1_000_000
	w, value := newBenchWorker(b), make([]byte, 64)
	seq, random := uint64(0), rand.New(rand.NewPCG(1, 1))
	take := func(key int, buffer []byte) {
		seq++
		k := fmt.Appendf(buffer[datagram.MaxSize:datagram.MaxSize], "kkkkkkkk%08d", key)
		m := protocol.Message{Type: protocol.Write, Op: protocol.OpPut, Epoch: 1, Replica: 16, Request: seq, Version: protocol.Version{Epoch: 1, Seq: seq},
			Key: k, KeyHash: protocol.KeyHash(k), Value: value, Digest: protocol.Digest(k, value)}
		w.take(m.Append(buffer[:0]), netip.AddrPort{})
	}
	buffers := make([][]byte, DefaultBatch)
	for i := range buffers {
		buffers[i] = make([]byte, 0, datagram.MaxSize+protocol.MaxKeySize)
	}
	for key := range keys {
		take(key, buffers[0])
		w.handleAll()
		w.answers.Reset()
	}
	for _, together := range []int{16, 64} {
		b.Run(fmt.Sprint(together), func(b *testing.B) {
			for done := 0; done < b.N; done += together {
				b.StopTimer()
				for i := range together {
					take(random.IntN(keys), buffers[i])
				}
				b.StartTimer()
				w.handleAll()
				w.answers.Reset()
			}
		})
	}
}
