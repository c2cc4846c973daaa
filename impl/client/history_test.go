// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalio/checker/linear"
	"dalio/impl/client"
	"dalio/impl/internal/modelnet"
	"dalio/impl/load"
	"dalio/impl/replica"
	"dalio/protocol"
	"dalio/traces"
)

// record runs a workload of many writers on few keys and returns its report and
// the judge's verdict on its history.
func record(t *testing.T, clients []*client.Client, seed uint64, operations int, deadline time.Duration) (*load.Report, linear.Report) {
	t.Helper()
	var history bytes.Buffer
	recorder := traces.NewRecorder(&history)
	var loads []load.Client
	for _, c := range clients {
		for range 4 {
			loads = append(loads, load.Shard(c))
		}
	}
	report, err := load.Run(t.Context(), load.Workload{Keys: 4, Skew: 0.8, DeleteKeys: 10, Writes: 0.5, Deletes: 0.05, Seed: seed},
		load.Options{Clients: loads, Recorder: recorder, Operations: operations, Deadline: deadline})
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	verdict, err := linear.Check(t.Context(), traces.NewReader(&history, "history"), linear.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return report, verdict
}

// runShard runs a workload on a shard of a faulty network, in virtual time.
// Disturb runs beside it and is told when it is over.
func runShard(t *testing.T, seed uint64, f modelnet.Faults, operations int, disturb func(*modelnet.Shard, <-chan struct{})) (report *load.Report, verdict string) {
	synctest.Test(t, func(t *testing.T) {
		shard, err := modelnet.NewShard(modelnet.New(seed, f), 3, 64)
		if err != nil {
			t.Fatal(err)
		}
		var clients []*client.Client
		for i := range 3 {
			c, err := shard.Dial(100+i, client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
		}
		over := make(chan struct{})
		var disturbance sync.WaitGroup
		disturbance.Go(func() { disturb(shard, over) })
		var judged linear.Report
		report, judged = record(t, clients, seed, operations, 400*time.Millisecond)
		verdict = judged.Verdict
		close(over)
		disturbance.Wait()
		for _, c := range clients {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := shard.Close(); err != nil {
			t.Error(err)
		}
	})
	return report, verdict
}

// TestHistoriesAreLinearizable has clients and replicas meet every kind of
// fault, with replicas cut off for longer than operations last.
func TestHistoriesAreLinearizable(t *testing.T) {
	seeds := 5
	if testing.Short() {
		seeds = 2
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			f := modelnet.Faults{Loss: 0.05, Duplicate: 0.1, MinDelay: 50 * time.Microsecond, MaxDelay: 8 * time.Millisecond}
			report, verdict := runShard(t, seed, f, 3000, cutOneByOne)
			if verdict != linear.Linearizable {
				t.Errorf("the history is %s", verdict)
			}
			if report.Retries == 0 || report.GatedReads == 0 || report.Outcomes[traces.Write][traces.Info] == 0 {
				t.Errorf("%d retries, %d gated reads, %d unknown outcomes: the faults did not show",
					report.Retries, report.GatedReads, report.Outcomes[traces.Write][traces.Info])
			}
			for id := range uint32(3) {
				if report.ReadsByReplica[16+id] == 0 {
					t.Errorf("replica %d answered no reads", 16+id)
				}
			}
		})
	}
}

func cutOneByOne(s *modelnet.Shard, over <-chan struct{}) {
	for i := 0; ; i++ {
		address := s.ReplicaAddress(i % 3)
		if pause(over, time.Second) {
			return
		}
		s.Network.Cut(func(from, to netip.AddrPort) bool { return from == address || to == address })
		if pause(over, 600*time.Millisecond) {
			return
		}
		s.Network.Cut(nil)
	}
}

func pause(over <-chan struct{}, d time.Duration) (ended bool) {
	select {
	case <-over:
		return true
	case <-time.After(d):
		return false
	}
}

// TestBrokenShardIsFoundOut: a coordinator that counts one replica's
// acknowledgement for all of them must not pass, or the test above means nothing.
func TestBrokenShardIsFoundOut(t *testing.T) {
	f := modelnet.Faults{Loss: 0.05, MaxDelay: 8 * time.Millisecond}
	_, verdict := runShard(t, 1, f, 3000, func(s *modelnet.Shard, over <-chan struct{}) {
		s.Coordinator.Update(func(m *protocol.Coordinator) { m.Members = 1 })
		<-over
	})
	if verdict == linear.Linearizable {
		t.Error("reads of replicas that need not acknowledge writes were found linearizable")
	}
}

// TestOverLoopback is the same with the kernel's sockets, and so with batched
// system calls, in real time.
func TestOverLoopback(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	var addresses []netip.AddrPort
	for i := range 3 {
		s, err := replica.Listen("127.0.0.1:0", replica.Options{ID: protocol.ReplicaID(16 + i), Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, s.Addr().(*net.UDPAddr).AddrPort())
		running.Go(func() {
			if err := s.Serve(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	self := socket.LocalAddr().(*net.UDPAddr).AddrPort()
	coordinator := modelnet.NewCoordinator(self, 64, addresses...)
	running.Go(func() {
		if err := coordinator.Serve(socket); err != nil {
			t.Error(err)
		}
	})
	defer socket.Close()
	var clients []*client.Client
	for range 2 {
		c, err := client.Dial(ctx, self.String(), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	report, judged := record(t, clients, 1, 4000, time.Minute)
	if judged.Verdict != linear.Linearizable {
		t.Errorf("the history is %s", judged.Verdict)
	}
	for f, outcomes := range report.Outcomes {
		if outcomes[traces.OK] == 0 || outcomes[traces.Fail]+outcomes[traces.Info] != 0 {
			t.Errorf("%s: %v", f, outcomes)
		}
	}
	for _, c := range clients {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	cancel()
}

// TestReadsGoRound: one client that reads one key after the other must not ask
// one replica only, whatever their number.
func TestReadsGoRound(t *testing.T) {
	for replicas := 1; replicas <= 6; replicas++ {
		synctest.Test(t, func(t *testing.T) {
			shard, err := modelnet.NewShard(modelnet.New(1, modelnet.Faults{}), replicas, 8)
			if err != nil {
				t.Fatal(err)
			}
			var observed []client.Response
			c, err := shard.Dial(99, client.Options{Observe: func(_ client.Request, r client.Response) { observed = append(observed, r) }})
			if err != nil {
				t.Fatal(err)
			}
			reads := make(map[protocol.ReplicaID]int)
			for range 10 * replicas {
				_, _ = c.Get(t.Context(), "k")
			}
			for _, r := range observed {
				reads[r.Replica]++
			}
			for i := range replicas {
				if n := reads[protocol.ReplicaID(16+i)]; n != 10 {
					t.Errorf("of %d replicas, number %d answered %d reads, want 10", replicas, i, n)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := shard.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
