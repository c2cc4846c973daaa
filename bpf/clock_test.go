// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"dalio/protocol"
)

// nowOnly is set in the environment of a test binary that is to print what Now
// says, and do nothing else.
const nowOnly = "DALIO_TEST_NOW_ONLY"

// TestNowInTimeNamespaces asks processes whose own clocks are ahead.
func TestNowInTimeNamespaces(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, offset := range []string{"0", "7200", "100000000"} {
		before := Now()
		cmd := exec.Command("unshare", "--time", "--monotonic", offset, binary)
		cmd.Env = append(os.Environ(), nowOnly+"=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("run the test binary in a time namespace: %v", err)
		}
		said, err := strconv.ParseInt(string(out), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if now := time.Duration(said); now < before || now > Now() {
			t.Errorf("a clock %s s ahead: Now is %v, between %v and %v here", offset, now, before, Now())
		}
	}
}

func TestNowIsTheProgramsClock(t *testing.T) {
	dp, err := Load(Options{Self: self, MaxSessions: testSlots, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	before := lastTick()
	if err := dp.Open(Epoch{Number: 1, Members: []protocol.Member{replica(0)}, Answered: before}); err != nil {
		t.Fatal(err)
	}
	out, _ := run(t, dp, readRequest(1, "k"), client(0))
	if at := time.Duration(out.Sent); out.Type != protocol.Read || at < before || at > lastTick() {
		t.Errorf("a read was sent at %v, between the ticks of %v and %v", at, before, lastTick())
	}
}

func TestMonotonicOffset(t *testing.T) {
	if d, err := monotonicOffset(strings.NewReader("monotonic   -3  500000000\nboottime 0 0\n")); err != nil || d != -2500*time.Millisecond {
		t.Errorf("got %v, %v", d, err)
	}
	for _, bad := range []string{"", "boottime 1 2\n", "monotonic x 0\n", "monotonic 1\n"} {
		if d, err := monotonicOffset(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %v and no error", bad, d)
		}
	}
}
