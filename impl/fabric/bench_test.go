// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The faults to measure: none, rates so small that frames are judged and meet
// nothing, and one frame in a hundred of each kind.
var benchmarkFaults = []struct {
	name   string
	faults Faults
}{
	{"off", Faults{}},
	{"judged", Faults{Loss: 1e-9, Duplicate: 1e-9, Reorder: 1e-9}},
	{"1%", Faults{Loss: 0.01, Duplicate: 0.01, Reorder: 0.01,
		Delay: 0.01, DelayMin: time.Millisecond, DelayMax: 5 * time.Millisecond}},
}

// BenchmarkPingPong measures a round trip of one 64-byte datagram at a time.
func BenchmarkPingPong(b *testing.B) {
	for _, bench := range benchmarkFaults[:2] {
		b.Run(bench.name, func(b *testing.B) {
			p := newPair(b, 1)
			setFaults(b, p.b, ToNode, bench.faults)
			setFaults(b, p.a, ToNode, bench.faults)
			if err := p.fromB.SetReadDeadline(time.Time{}); err != nil {
				b.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				echo(p.fromB)
			}()
			message := make([]byte, 64)
			b.ResetTimer()
			for range b.N {
				if _, err := p.fromA.WriteTo(message, p.fromB.LocalAddr()); err != nil {
					b.Fatal(err)
				}
				if err := p.fromA.SetReadDeadline(time.Now().Add(patience)); err != nil {
					b.Fatal(err)
				}
				if _, err := p.fromA.Read(message); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			p.fromB.Close()
			<-done
		})
	}
}

// echo answers until the socket is closed.
func echo(conn *net.UDPConn) {
	message := make([]byte, 64)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(message)
		if err != nil {
			return
		}
		if _, err := conn.WriteToUDPAddrPort(message[:n], from); err != nil {
			return
		}
	}
}

// BenchmarkFlood measures the sending of 64-byte datagrams one way as fast as
// one sender can, and what the program itself costs.
func BenchmarkFlood(b *testing.B) {
	for _, bench := range benchmarkFaults {
		b.Run(bench.name, func(b *testing.B) {
			p := newPair(b, 1)
			setFaults(b, p.b, ToNode, bench.faults)
			var arrived atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				drain(p.fromB, &arrived)
			}()
			stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
			if err != nil {
				b.Fatal(err)
			}
			defer stats.Close()
			message := make([]byte, 64)
			to := p.fromB.LocalAddr().(*net.UDPAddr).AddrPort()
			b.ResetTimer()
			for range b.N {
				if _, err := p.fromA.WriteToUDPAddrPort(message, to); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			reportProgram(b, p.rack.faults.objects.JudgeFrame)
			<-done
			b.ReportMetric(float64(arrived.Load())/float64(b.N), "arrived/op")
		})
	}
}

func reportProgram(b *testing.B, program *ebpf.Program) {
	b.Helper()
	stats, err := program.Stats()
	if err != nil {
		b.Fatal(err)
	}
	if stats.RunCount > 0 {
		b.ReportMetric(float64(stats.Runtime)/float64(stats.RunCount), "program-ns/frame")
	}
}

// drain counts datagrams until none comes for a while.
func drain(conn *net.UDPConn, arrived *atomic.Int64) {
	message := make([]byte, 64)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return
		}
		_, err := conn.Read(message)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		arrived.Add(1)
	}
}
