// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"dalio/impl/client"
)

// remoteShard is a shard whose parts run on hosts of their own.
type remoteShard struct {
	*internet
	coordinator *command
	address     string
	socket      string
}

// serve starts the replicas, and then the coordinator on the devices given.
func (n *internet) serve(coordinator *host, ip string, devices []string, replicas []*host, ips []string) *remoteShard {
	n.Helper()
	s := &remoteShard{internet: n, address: addressOf(ip), socket: filepath.Join(n.TempDir(), "status")}
	args := []string{"coordinator", "--listen", s.address, "--status-socket", s.socket, "--sessions", "64"}
	for _, device := range devices {
		args = append(args, "--dev", device)
	}
	for i, h := range replicas {
		id, listen := fmt.Sprint(16+i), addressOf(ips[i])
		h.start("replica", "--id", id, "--listen", listen)
		args = append(args, "--replica", id+"="+listen)
	}
	s.coordinator = coordinator.start(args...)
	return s
}

// client opens a client on a host, by nothing but the coordinator's address.
func (s *remoteShard) client(h *host) (c *client.Client) {
	s.Helper()
	h.do(func() (err error) {
		c, err = client.Dial(s.Context(), s.address, client.Options{})
		return err
	})
	s.Cleanup(func() { c.Close() })
	return c
}

// use puts, gets and deletes keys of the client's own until every replica has
// been asked, and then puts the same key as the other clients.
func (s *remoteShard) use(name string, c *client.Client) {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	if err := use(ctx, name, c); err != nil {
		s.Errorf("client %s: %v", name, err)
	}
}

func use(ctx context.Context, name string, c *client.Client) error {
	expect := func(key string, want []byte, wanted error) error {
		if got, err := c.Get(ctx, key); !errors.Is(err, wanted) || !bytes.Equal(got, want) {
			return fmt.Errorf("get of %s: %d bytes, %v; want %d bytes, %v", key, len(got), err, len(want), wanted)
		}
		return nil
	}
	large := bytes.Repeat([]byte(name[:1]), 1300)
	for i := range 20 {
		key := fmt.Sprint(name, i)
		for _, step := range []func() error{
			func() error { return expect(key, nil, client.ErrNotFound) },
			func() error { return c.Put(ctx, key, large) },
			func() error { return expect(key, large, nil) },
			func() error { return expect(key, large, nil) },
			func() error { return c.Delete(ctx, key) },
			func() error { return expect(key, nil, client.ErrNotFound) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return c.Put(ctx, "shared", []byte(name))
}

// command puts with the dalio command on one host, and gets on another.
func (s *remoteShard) command(put, get *host) {
	s.Helper()
	put.shell("dalio put --address " + s.address + " typed 'by hand'")
	if got := get.shell("dalio get --address " + s.address + " typed"); got != "by hand\n" {
		s.Errorf("dalio get on %s prints %q", get.name, got)
	}
}

// expectShard looks at the status: every replica was asked, and its hardware
// address is that of the next hop.
func (s *remoteShard) expectShard(device string, macs ...string) {
	s.Helper()
	status, err := FetchStatus(s.Context(), s.socket)
	s.must(err)
	if status.Device != device || len(status.Members) != len(macs) || status.PendingCount != 0 {
		s.Errorf("status %+v; want device %q and %d members", status, device, len(macs))
	}
	for i, m := range status.Members {
		if m.MAC != macs[i] || m.Reads == 0 {
			s.Errorf("member %+v; want the hardware address %s, and reads", m, macs[i])
		}
	}
	if n := status.Drops["internal"]; n != 0 {
		s.Errorf("%d frames were dropped for an internal cause", n)
	}
}

// expectEnd ends the coordinator, which must leave its devices as they were.
func (s *remoteShard) expectEnd(on *host, devices ...string) {
	s.Helper()
	s.coordinator.end(s.internet, syscall.SIGTERM)
	if code := s.coordinator.ProcessState.ExitCode(); code != 0 {
		s.Errorf("the coordinator ended with %d: %s", code, s.coordinator.said.String())
	}
	for _, device := range devices {
		link, err := on.kernel.LinkByName(device)
		s.must(err)
		if xdp := link.Attrs().Xdp; xdp != nil && xdp.Attached {
			s.Errorf("device %s still has an XDP program", device)
		}
	}
}

// TestHostsOnOneNetwork: one device at the coordinator, all on one Ethernet, but
// for a replica and a client behind a router.
func TestHostsOnOneNetwork(t *testing.T) {
	n := newInternet(t)
	ethernet, coordinator, router, near, far := n.host("switch"), n.host("coordinator"), n.host("router"), n.host("near"), n.host("far")
	replicas := []*host{n.host("replica0"), n.host("replica1"), n.host("replica2")}
	for i, h := range []*host{coordinator, router, near, replicas[0], replicas[1]} {
		h.cable("eth0", ethernet, fmt.Sprint("port", i))
		h.up("eth0", fmt.Sprintf("10.1.0.%d/24", i+1))
	}
	ethernet.bridge()
	router.forward()
	for i, h := range []*host{far, replicas[2]} {
		h.cable("eth0", router, fmt.Sprint("eth", i+1))
		h.up("eth0", fmt.Sprintf("10.%d.0.2/24", i+2))
		router.up(fmt.Sprint("eth", i+1), fmt.Sprintf("10.%d.0.1/24", i+2))
		h.route("0.0.0.0/0", fmt.Sprintf("10.%d.0.1", i+2))
	}
	// Nothing tells the coordinator the way to the far client: it answers the way
	// that requests came.
	coordinator.route("10.3.0.0/24", "10.1.0.2")

	s := n.serve(coordinator, "10.1.0.1", []string{"eth0"}, replicas, []string{"10.1.0.4", "10.1.0.5", "10.3.0.2"})
	clients := []*client.Client{s.client(near), s.client(far)}
	concurrently(func() { s.use("near", clients[0]) }, func() { s.use("far", clients[1]) })
	s.command(near, far)
	s.expectShard("eth0", replicas[0].mac("eth0"), replicas[1].mac("eth0"), router.mac("eth0"))
	s.expectEnd(coordinator, "eth0")
}

// TestHostsOnDevicesOfTheirOwn: the coordinator has a device for each replica, of
// which one is behind a router, and for each of two networks of clients, and the
// address that all know on none of them.
func TestHostsOnDevicesOfTheirOwn(t *testing.T) {
	n := newInternet(t)
	coordinator, router := n.host("coordinator"), n.host("router")
	replicas := []*host{n.host("replica0"), n.host("replica1"), n.host("replica2")}
	clients := []*host{n.host("client0"), n.host("client1")}
	coordinator.up("lo", "10.9.9.9/32")
	var devices []string
	for i, h := range []*host{replicas[0], replicas[1], router, clients[0], clients[1]} {
		device := fmt.Sprint("eth", i)
		coordinator.cable(device, h, "eth0")
		coordinator.up(device, fmt.Sprintf("10.%d.0.1/24", i))
		h.up("eth0", fmt.Sprintf("10.%d.0.2/24", i))
		h.route("10.9.9.9/32", fmt.Sprintf("10.%d.0.1", i))
		devices = append(devices, device)
	}
	router.forward()
	replicas[2].cable("eth0", router, "eth1")
	replicas[2].up("eth0", "10.8.0.2/24")
	router.up("eth1", "10.8.0.1/24")
	replicas[2].route("10.9.9.9/32", "10.8.0.1")
	coordinator.route("10.8.0.0/24", "10.2.0.2")

	s := n.serve(coordinator, "10.9.9.9", devices, replicas, []string{"10.0.0.2", "10.1.0.2", "10.8.0.2"})
	near, far := s.client(clients[0]), s.client(clients[1])
	concurrently(func() { s.use("near", near) }, func() { s.use("far", far) })
	s.command(clients[0], clients[1])
	s.expectShard("eth0,eth1,eth2,eth3,eth4", replicas[0].mac("eth0"), replicas[1].mac("eth0"), router.mac("eth0"))
	s.expectEnd(coordinator, devices...)
}

// TestRouteIsFollowed: a replica that moves to another of the coordinator's
// devices is found there.
func TestRouteIsFollowed(t *testing.T) {
	n := newInternet(t)
	coordinator, replica, user := n.host("coordinator"), n.host("replica"), n.host("client")
	for i, h := range []*host{replica, replica, user} {
		device := fmt.Sprint("eth", i)
		coordinator.cable(device, h, device)
		coordinator.up(device, fmt.Sprintf("10.%d.0.1/24", i))
		h.up(device, fmt.Sprintf("10.%d.0.2/24", i))
	}
	coordinator.up("lo", "10.9.9.9/32")
	replica.up("lo", "10.8.8.8/32")
	user.route("10.9.9.9/32", "10.2.0.1")
	both := func(i int) {
		coordinator.route("10.8.8.8/32", fmt.Sprintf("10.%d.0.2", i))
		replica.route("10.9.9.9/32", fmt.Sprintf("10.%d.0.1", i))
	}
	both(0)
	s := n.serve(coordinator, "10.9.9.9", []string{"eth0", "eth1", "eth2"}, []*host{replica}, []string{"10.8.8.8"})
	c := s.client(user)
	s.use("before", c)
	s.expectShard("eth0,eth1,eth2", replica.mac("eth0"))

	both(1)
	link, err := coordinator.kernel.LinkByName("eth0")
	n.must(err)
	n.must(coordinator.kernel.LinkSetDown(link))
	s.use("after", c)
	s.expectShard("eth0,eth1,eth2", replica.mac("eth1"))
}
