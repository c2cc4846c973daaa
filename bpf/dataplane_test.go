// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"dalio/protocol"
)

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no address":      {Self: protocol.Address{MAC: self.MAC}},
		"no MAC address":  {Self: protocol.Address{IP: self.IP}},
		"odd table":       {Self: self, MaxSessions: 12},
		"too large table": {Self: self, MaxSessions: 1 << 25},
	} {
		if _, err := Load(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: got %v, want %v", name, err, ErrOptions)
		}
	}
	if _, err := Load(Options{Self: self, Object: "no such file"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing object: %v", err)
	}
}

func TestMembers(t *testing.T) {
	dp := load(t, "")
	twice := replica(1)
	twice.ID += 16
	for what, err := range map[string]error{
		"two of one index":     dp.SetMembers(replica(1), twice),
		"id zero":              dp.SetMembers(protocol.Member{}),
		"serving, but nowhere": dp.SetServing(1),
	} {
		if !errors.Is(err, ErrMembers) {
			t.Errorf("%s: got %v, want %v", what, err, ErrMembers)
		}
	}
	if err := dp.SetEpoch(0); !errors.Is(err, ErrEpoch) {
		t.Errorf("epoch 0: got %v, want %v", err, ErrEpoch)
	}
	for _, err := range []error{dp.SetEpoch(3), dp.SetMembers(replica(0), replica(1)), dp.SetServing(2), dp.Tick()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := dp.SetMembers(replica(0)); !errors.Is(err, ErrMembers) {
		t.Errorf("a serving member taken out: got %v, want %v", err, ErrMembers)
	}
	want := shard(2)
	want.Epoch, want.Serving, want.Tick = 3, 2, 1
	got, err := dp.State()
	if err != nil {
		t.Fatal(err)
	}
	// The lease of new members runs from when they became members.
	for i, at := range got.Answered {
		if (at != 0) != (i < 2) || time.Duration(at) > Now() {
			t.Errorf("replica index %d was heard at %v", i, time.Duration(at))
		}
	}
	got.Answered = want.Answered
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
}

// TestStateRoundTrip writes states with arbitrary bits and reads them back.
func TestStateRoundTrip(t *testing.T) {
	dp := load(t, "")
	rapid.Check(t, func(t *rapid.T) {
		want := anyState(t)
		want.NextSeq = rapid.Uint64().Draw(t, "next seq")
		slot, _ := pick(t, want.Sessions, "slot")
		want.Sessions[slot] = protocol.SessionEntry{
			Owner: protocol.SessionID(rapid.Uint64().Draw(t, "owner")), Nonce: rapid.Uint64().Draw(t, "nonce"),
			Request: rapid.Uint64().Draw(t, "request"), Seq: rapid.Uint64Range(1, protocol.MaxSeq).Draw(t, "seq"),
			Acks: rapid.Uint16().Draw(t, "acks"), Op: protocol.Op(rapid.Byte().Draw(t, "op")),
			KeyHash: rapid.Uint64().Draw(t, "key hash"), Digest: rapid.Uint32().Draw(t, "digest"), Tick: rapid.Uint32().Draw(t, "tick"),
			Settled: protocol.Version{Epoch: protocol.Epoch(rapid.Uint32Range(0, maxEpoch).Draw(t, "settled epoch")),
				Seq: rapid.Uint64().Draw(t, "settled")},
		}
		if err := dp.Restore(want); err != nil {
			t.Fatal(err)
		}
		if got, err := dp.State(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("wrote %+v\nread  %+v (%v)", want, got, err)
		}
	})
}

// TestLargeTable reads a table of the default size, which takes several calls.
func TestLargeTable(t *testing.T) {
	dp, err := Load(Options{Self: self, SessionTTL: testTTL, Lease: testLease, clockStands: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	c := shard(3)
	c.Sessions = make([]protocol.SessionEntry, DefaultMaxSessions)
	for slot := range c.Sessions {
		c.Sessions[slot] = protocol.SessionEntry{Owner: protocol.SessionID(slot + 1), Seq: uint64(slot), Acks: uint16(slot)}
	}
	c.Sessions[0].Acks = 0
	restore(t, dp, c)
	sessions, err := dp.Sessions()
	if err != nil || !reflect.DeepEqual(sessions, c.Sessions) {
		t.Errorf("%d entries read differ from those written: %v", len(sessions), err)
	}
	// All but slot 0, which has no write, and slot 65,535, whose set is full.
	if n, err := dp.PendingWrites(); err != nil || n != DefaultMaxSessions-2 {
		t.Errorf("%d pending writes (%v), want %d", n, err, DefaultMaxSessions-2)
	}
}

// TestCloseLeavesNothing waits until the kernel has freed an attached program.
func TestCloseLeavesNothing(t *testing.T) {
	dp, err := Load(Options{Self: self, MaxSessions: testSlots})
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, 1500)
	restoreMembers := dp.SetMembers(replica(0), replica(1))
	if err := errors.Join(restoreMembers, dp.Attach(w.coordinator)); err != nil {
		t.Fatal(err)
	}
	var ids []ebpf.ProgramID
	for _, p := range []*ebpf.Program{dp.objects.Coordinator, dp.objects.Clone} {
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		gone := func() bool {
			p, err := ebpf.NewProgramFromID(id)
			if err == nil {
				p.Close()
			}
			return errors.Is(err, os.ErrNotExist)
		}
		for deadline := time.Now().Add(5 * time.Second); !gone(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("program %d is still there after Close", id)
			}
		}
	}
}

// loadOnly is set in the environment of a test binary that is to load the data
// plane, print the error, and do nothing else.
const loadOnly = "DALIO_TEST_LOAD_ONLY"

// loadAsNobody loads the data plane as a user with no other capabilities than
// those given, and returns the error.
func loadAsNobody(t *testing.T, capabilities ...uintptr) string {
	t.Helper()
	binary, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	// The descriptor is passed on, since the user may not reach the file's path.
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{binary}
	cmd.Env = append(os.Environ(), loadOnly+"=1")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("run the test binary as nobody: %v\n%s", err, out)
	}
	return string(out)
}

// TestExplanations gives errors that this kernel does not have at hand a cause.
func TestExplanations(t *testing.T) {
	for _, c := range []struct{ got, want error }{
		{ExplainLoad(fmt.Errorf("create map: %w", unix.EINVAL)), ErrKernel},
		{ExplainLoad(fmt.Errorf("create map: %w", ebpf.ErrNotSupported)), ErrKernel},
		{ExplainLoad(fmt.Errorf("load program: %w", unix.EPERM)), ErrPermission},
		{explainAttach(fmt.Errorf("create link: %w", unix.EPERM)), ErrPermission},
		{explainAttach(fmt.Errorf("create link: %w", unix.EEXIST)), ErrDeviceBusy},
	} {
		if !errors.Is(c.got, c.want) || strings.Contains(c.got.Error(), "\n") {
			t.Errorf("got %q, want %q in one line", c.got, c.want)
		}
	}
	refused := &ebpf.VerifierError{Cause: unix.EACCES, Log: []string{"0: R1=ctx()", "1: invalid access"}}
	if got := ExplainLoad(refused).Error(); !strings.Contains(got, "verifier") || !strings.Contains(got, "R1=ctx()") {
		t.Errorf("the verifier's log is missing from %q", got)
	}
}

func TestPermission(t *testing.T) {
	for _, capabilities := range [][]uintptr{
		nil,
		{unix.CAP_NET_ADMIN, unix.CAP_PERFMON},
		{unix.CAP_BPF, unix.CAP_PERFMON},
		{unix.CAP_BPF, unix.CAP_NET_ADMIN},
	} {
		if got := loadAsNobody(t, capabilities...); !strings.Contains(got, ErrPermission.Error()) {
			t.Errorf("with the capabilities %v: got %q, want %q", capabilities, got, ErrPermission)
		}
	}
	if got := loadAsNobody(t, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON); got != "<nil>" {
		t.Errorf("with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: %s", got)
	}
}
