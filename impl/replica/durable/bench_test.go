// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"dalio/impl/replica"
	"dalio/impl/replica/control"
	"dalio/impl/replica/durable"
	"dalio/protocol"
)

// BenchmarkWrites is a replica that a peer keeps busy with 256 writes in flight, in
// memory and on disk: look at the ratio. While a worker waits for the disk, others
// take the writes that its next sync makes durable.
func BenchmarkWrites(b *testing.B) {
	for _, c := range []struct {
		kind    string
		workers int
	}{{"memory", 1}, {"disk", 1}, {"disk", 4}} {
		b.Run(fmt.Sprintf("%s/%d", c.kind, c.workers), func(b *testing.B) {
			var store replica.Store
			if c.kind == "disk" {
				s, err := durable.Open(b.TempDir(), durable.Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = s.Close() })
				store = s
			}
			pump(b, store, c.workers)
			if s, ok := store.(*durable.Store); ok {
				d := s.Disk()
				b.ReportMetric(float64(d.SyncTime)/float64(d.Syncs)/1e3, "µs/sync")
				b.ReportMetric(float64(b.N)/float64(d.Syncs), "writes/sync")
			}
		})
	}
}

func pump(b *testing.B, store replica.Store, workers int) {
	server, err := replica.Listen("127.0.0.1:0", replica.Options{Store: store, Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			b.Error(err)
		}
	}()
	at := server.Addr().(*net.UDPAddr)
	api := control.NewClient(at.AddrPort(), control.Options{})
	defer api.Close()
	if err := api.Assign(b.Context(), control.Assignment{Shard: "s", ID: 16, Epoch: 1}); err != nil {
		b.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", nil, at)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	const inFlight, keys = 256, 10_000
	window := make(chan struct{}, inFlight)
	go func() {
		in := make([]byte, 2048)
		for {
			if _, err := conn.Read(in); err != nil {
				return // Closed.
			}
			<-window
		}
	}()
	value, out := make([]byte, 100), []byte(nil)
	for b.Loop() {
		window <- struct{}{}
		seq := uint64(b.Elapsed()) + 1
		key := fmt.Append(nil, "key", seq%keys)
		m := protocol.Message{Type: protocol.Write, Op: protocol.OpPut, Epoch: 1, Replica: 16, Version: protocol.Version{Epoch: 1, Seq: seq},
			Session: 1<<16 | 5, Writer: 1<<16 | 5, Request: seq, KeyHash: protocol.KeyHash(key), Digest: protocol.Digest(key, value), Key: key, Value: value}
		out = m.Append(out[:0])
		if _, err := conn.Write(out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}
