// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// Site is a place for one coordinator: a veth pair in a network namespace of
// its own. The namespace has no name and belongs to one thread, so that nothing
// of it outlives the process, however that ends.
type Site struct {
	Settings Settings
	// Coordinator and Outside are the interface indices of the two ends.
	Coordinator, Outside int

	coordinatorName, outsideName string
	jobs                         chan func()
	done                         chan struct{}
	close                        sync.Once
}

// NewSite builds a site. The caller must Close it.
func NewSite(s Settings) (*Site, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	var random [3]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("build site: %w", err)
	}
	// Kernel threads are found by the device's name, which must be unique on the
	// machine and so short that theirs is not cut.
	id := hex.EncodeToString(random[:])
	site := &Site{Settings: s, coordinatorName: "c" + id, outsideName: "o" + id,
		jobs: make(chan func()), done: make(chan struct{})}
	go site.run()
	if err := site.Do(site.build); err != nil {
		site.Close()
		return nil, fmt.Errorf("build site: %w", err)
	}
	return site, nil
}

// run never unlocks its thread, which therefore ends with it.
func (s *Site) run() {
	defer close(s.done)
	runtime.LockOSThread()
	for job := range s.jobs {
		job()
	}
}

// Do runs f on the site's thread, which is in its namespace. What f opens stays
// in the namespace, and processes that f starts live no longer than the site.
func (s *Site) Do(f func() error) error {
	result := make(chan error)
	s.jobs <- func() { result <- f() }
	return <-result
}

// Close takes the site down, unless something else holds its namespace.
func (s *Site) Close() {
	s.close.Do(func() { close(s.jobs) })
	<-s.done
}

func (s *Site) build() error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a network namespace (needs root): %w", err)
	}
	// The files under /sys/class/net show the namespace of their mount.
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	for _, name := range []string{"all", "default"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("switch IPv6 off: %w", err)
		}
	}
	mac := self().MAC
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: s.outsideName}
	pair.Name, pair.MTU, pair.HardwareAddr = s.coordinatorName, 1500, mac[:]
	// One queue, as one thread is to receive.
	pair.NumRxQueues, pair.NumTxQueues = 1, 1
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make a veth pair: %w", err)
	}
	for _, end := range []struct {
		name  string
		index *int
	}{{s.coordinatorName, &s.Coordinator}, {s.outsideName, &s.Outside}} {
		device, err := netlink.LinkByName(end.name)
		if err != nil {
			return fmt.Errorf("find device %s: %w", end.name, err)
		}
		*end.index = device.Attrs().Index
		if err := netlink.LinkSetUp(device); err != nil {
			return fmt.Errorf("bring device %s up: %w", end.name, err)
		}
	}
	return s.settle()
}

// settle gives the coordinator's host its address and all neighbors, so that it
// has nobody to ask.
func (s *Site) settle() error {
	device, err := netlink.LinkByIndex(s.Coordinator)
	if err != nil {
		return fmt.Errorf("find device: %w", err)
	}
	ip := self().IP
	network := &net.IPNet{IP: ip[:], Mask: net.CIDRMask(24, 32)}
	if err := netlink.AddrAdd(device, &netlink.Addr{IPNet: network}); err != nil {
		return fmt.Errorf("give the coordinator its address: %w", err)
	}
	for _, a := range s.Settings.neighbors() {
		if err := netlink.NeighSet(neighbor(s.Coordinator, a)); err != nil {
			return fmt.Errorf("enter neighbor %v: %w", a.IP, err)
		}
	}
	return nil
}

func neighbor(device int, a protocol.Address) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: device, State: netlink.NUD_PERMANENT,
		IP: net.IP(a.IP[:]), HardwareAddr: net.HardwareAddr(a.MAC[:])}
}

// receiver has a kernel thread receive for a device, pinned to a processor, and
// returns its id. An XDP program must be attached to the device before.
func (s *Site) receiver(device string, cpu int) (int, error) {
	err := s.Do(func() error {
		return os.WriteFile(filepath.Join("/sys/class/net", device, "threaded"), []byte("1"), 0)
	})
	if err != nil {
		return 0, fmt.Errorf("have a thread receive for %s (needs Linux 5.12): %w", device, err)
	}
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		pids := threadsNamed("napi/" + device + "-")
		if len(pids) == 1 {
			return pids[0], pin(pids[0], cpu)
		}
		if len(pids) > 1 {
			return 0, fmt.Errorf("device %s has %d receiving threads, want one", device, len(pids))
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("device %s has no receiving thread after %v", device, patience)
		}
	}
}

func threadsNamed(prefix string) []int {
	paths, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil
	}
	var pids []int
	for _, path := range paths {
		name, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(name), prefix) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
