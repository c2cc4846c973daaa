// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"dalio/impl/client"
	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

// stub answers every request at once, so that what is measured is the client.
func stub(b *testing.B) (addr string) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := datagram.SetReceiveBuffer(conn, 4<<20); err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		c, in, out := datagram.NewConn(conn), datagram.NewBatch(64), datagram.NewBatch(64)
		for c.Read(in) == nil {
			out.Reset()
			for i := range in.Len() {
				var m protocol.Message
				if m.Unmarshal(in.Payload(i)) == nil {
					m.Type++ // A response's type follows its request's.
					m.Status, m.Session = protocol.StatusOK, protocol.MintSessionID(1, 1, 1)
					if m.Type == protocol.WriteResponse {
						m.Key, m.Value = nil, nil
					}
					out.Add(&m, in.Address(i))
				}
			}
			_, _ = c.Write(out)
		}
	})
	b.Cleanup(func() {
		conn.Close()
		running.Wait()
	})
	return conn.LocalAddr().String()
}

// BenchmarkLoopback measures operations against the stub with so many in flight.
func BenchmarkLoopback(b *testing.B) {
	for _, op := range []protocol.Op{protocol.OpNone, protocol.OpPut} {
		for _, flights := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("%v/%d", client.Request{Op: op}.Op, flights), func(b *testing.B) {
				c, err := client.Dial(context.Background(), stub(b), client.Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				r := client.Request{Op: op, Key: "key-00000001"}
				if op == protocol.OpPut {
					r.Value = make([]byte, 64)
				}
				b.ReportAllocs()
				b.ResetTimer()
				var flying sync.WaitGroup
				for i := range flights {
					flying.Go(func() {
						for n := i; n < b.N; n += flights {
							if err := c.Do(context.Background(), r).Err; err != nil && op == protocol.OpPut {
								b.Error(err)
							}
						}
					})
				}
				flying.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			})
		}
	}
}
