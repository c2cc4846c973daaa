// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/impl/replica"
)

// TestPortsThatOthersHave lets the kernel choose among four ports, of which one is
// free for the replica's socket but not for its control API.
func TestPortsThatOthersHave(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // Never unlocked: the namespace ends with the thread.
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("make a network namespace (needs root): %v", err)
			return
		}
		loopback, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(loopback)
		}
		if err == nil {
			err = os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40003"), 0)
		}
		if err != nil {
			t.Error(err)
			return
		}
		taken, err := net.Listen("tcp4", "127.0.0.1:40000")
		if err != nil {
			t.Error(err)
			return
		}
		defer taken.Close()
		for range 32 {
			s, err := replica.Listen("127.0.0.1:0", replica.Options{ID: 16, Epoch: 1})
			if err != nil {
				t.Errorf("with three ports of four free: %v", err)
				return
			}
			if port := s.Addr().(*net.UDPAddr).Port; port == 40000 {
				t.Errorf("listens on port %d, of which another has the half", port)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if s, err := replica.Listen("127.0.0.1:40000", replica.Options{ID: 16, Epoch: 1}); err == nil {
			t.Errorf("listens on %v, which it was told to and another has", s.Addr())
		}
	}()
	<-done
}
