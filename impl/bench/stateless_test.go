// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

// forgetful is a forwarder that leaves the last replica out.
type forgetful struct{ Contender }

func (f forgetful) Start(site *Site) (Running, error) {
	site.Settings.Replicas--
	defer func() { site.Settings.Replicas++ }()
	return f.Contender.Start(site)
}

// drive has lanes do mixed work with a forwarder until so many operations are done,
// and says what is wrong with how they reached the replicas.
func drive(t *testing.T, c Contender, operations uint64) error {
	t.Helper()
	_, _, around := newScene(t, testSettings(t), c)
	if err := around.Start(mixed, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := around.awaitOperations(context.Background(), operations); err != nil {
		return err
	}
	if err := around.Stop(); err != nil {
		return err
	}
	n := mustCount(t, around)
	if n.Reads == 0 || n.Writes == 0 {
		return fmt.Errorf("%d reads, %d writes", n.Reads, n.Writes)
	}
	for i := range around.site.Settings.Replicas {
		if n.Applied[i] != n.Writes || n.Served[i] == 0 {
			return fmt.Errorf("replica %d got %d of %d writes, and %d reads", i, n.Applied[i], n.Writes, n.Served[i])
		}
	}
	return nil
}

// TestForwarders has forwarders give each replica each write once, and the reads to
// all of them, and notices one that does not.
func TestForwarders(t *testing.T) {
	for _, c := range []Contender{Limit{}, Limit{Prefetch: true}, TC{}} {
		t.Run(c.Name(), func(t *testing.T) {
			if err := drive(t, c, 10_000); err != nil {
				t.Error(err)
			}
			if err := drive(t, forgetful{c}, 10_000); err == nil {
				t.Error("a forwarder without the last replica was not noticed")
			}
		})
	}
}

// TestForwardersAgree: at TC a frame becomes what it becomes in XDP, to the byte.
func TestForwardersAgree(t *testing.T) {
	site, err := NewSite(testSettings(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	var limit limitObjects
	var tc tcObjects
	if err := forwarderAt(site.Settings).load(loadLimit, &limit, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, limit.Close) })
	if err := forwarderAt(site.Settings).load(loadTc, &tc, map[string]any{tcVarDevice: uint32(site.Coordinator)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, tc.Close) })
	// What the kernel's numbers for verdicts at TC are in XDP.
	const tcPass, tcDrop, tcRedirect, xdpPass = 0, 2, 7, 2
	inXDP := map[uint32]uint32{tcPass: xdpPass, tcDrop: xdpDrop, tcRedirect: xdpTransmit}
	sent := 0
	for of := protocol.OpenRequest; of <= protocol.ProbeReply; of++ {
		if of == protocol.WriteRequest {
			// A test run of a program does not multicast; TestForwarders does.
			continue
		}
		for _, to := range []protocol.Address{self(), client(1)} {
			from := site.Settings.members()[2]
			m := protocol.Message{Type: of, Epoch: epoch, Replica: from.ID, Client: client(3), Request: 9, Key: []byte("a key"), Value: []byte("a value")}
			frame := protocol.NewFrame(&m, from.Address, to)
			a, b := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, 2048)}, &ebpf.RunOptions{Data: frame, DataOut: make([]byte, 2048)}
			want, err := limit.Forward.Run(a)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tc.Forward.Run(b)
			if err != nil {
				t.Fatal(err)
			}
			if inXDP[got] != want || !bytes.Equal(a.DataOut, b.DataOut) {
				t.Errorf("%v: verdict %d at TC and %d in XDP, frames\n%x\n%x", of, got, want, b.DataOut, a.DataOut)
			}
			if want == xdpTransmit {
				sent++
			}
		}
	}
	if sent != 4 {
		t.Errorf("%d frames were sent on, want those of an open, a read, its reply and an acknowledgement", sent)
	}
}
