// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// resolvePoll is how often the neighbour table is looked at while an address is
// being resolved, and resolveNudge how often a datagram makes the kernel ask for it.
const (
	resolvePoll  = 20 * time.Millisecond
	resolveNudge = 500 * time.Millisecond
)

// device is a network device that the data plane is attached to.
type device struct {
	name  string
	index int
	mac   [6]byte
}

// network is the devices, and what the kernel knows of the hosts behind them.
type network struct {
	devices []device
	// kernel speaks with the network namespace in which the devices were opened,
	// whatever the thread.
	kernel *netlink.Handle
}

// openNetwork returns the devices of this machine, which must have the address.
// It must be closed.
func openNetwork(names []string, addr netip.Addr) (*network, error) {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	n := &network{kernel: kernel}
	for _, name := range names {
		d, err := n.find(name)
		if err != nil {
			n.close()
			return nil, err
		}
		n.devices = append(n.devices, d)
	}
	if err := n.checkAddress(addr); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *network) find(name string) (device, error) {
	link, err := n.kernel.LinkByName(name)
	if err != nil {
		return device{}, fmt.Errorf("%w: device %s: %w; ip link lists the devices of this network namespace", ErrConfiguration, name, err)
	}
	d := device{name: name, index: link.Attrs().Index}
	if copy(d.mac[:], link.Attrs().HardwareAddr) != len(d.mac) || d.mac == [6]byte{} {
		return d, fmt.Errorf("%w: device %s is not an Ethernet device", ErrConfiguration, name)
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		return d, fmt.Errorf("%w: device %s is down: ip link set %s up", ErrConfiguration, name, name)
	}
	if link.Attrs().MTU < 1500 {
		return d, fmt.Errorf("%w: device %s has an MTU of %d, and the largest messages need 1500", ErrConfiguration, name, link.Attrs().MTU)
	}
	return d, nil
}

// checkAddress checks that the address is one of the machine's. It need not be
// on a device that the data plane is on: whoever has a route to it by one of
// them will do.
func (n *network) checkAddress(addr netip.Addr) error {
	addrs, err := n.kernel.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the addresses of this machine: %w", err)
	}
	for _, a := range addrs {
		if a.IP.Equal(addr.AsSlice()) {
			return nil
		}
	}
	return fmt.Errorf("%w: none of the devices of this machine have the address %v", ErrConfiguration, addr)
}

func (n *network) close() { n.kernel.Close() }

// indices returns the kernel's numbers of the devices.
func (n *network) indices() []int {
	var indices []int
	for _, d := range n.devices {
		indices = append(indices, d.index)
	}
	return indices
}

// String names the devices.
func (n *network) String() string {
	var names []string
	for _, d := range n.devices {
		names = append(names, d.name)
	}
	return strings.Join(names, ",")
}

// nameOf returns the name of the device with the index.
func (n *network) nameOf(index int) string {
	for _, d := range n.devices {
		if d.index == index {
			return d.name
		}
	}
	return ""
}

// present returns an error if a device is gone.
func (n *network) present() error {
	for _, d := range n.devices {
		if _, err := n.kernel.LinkByIndex(d.index); err != nil {
			return fmt.Errorf("device %s is gone, and the data plane with it: %w", d.name, err)
		}
	}
	return nil
}

// hop is a neighbour: a device and an address behind it.
type hop struct {
	device int
	addr   netip.Addr
}

// nextHop returns the neighbour through which an address is reached.
func (n *network) nextHop(to netip.Addr) (hop, error) {
	routes, err := n.kernel.RouteGet(to.AsSlice())
	if err != nil {
		return hop{}, fmt.Errorf("%w: no route to %v: %w", ErrConfiguration, to, err)
	}
	if len(routes) == 0 {
		return hop{}, fmt.Errorf("%w: no route to %v", ErrConfiguration, to)
	}
	route := routes[0]
	if route.Type == unix.RTN_LOCAL {
		return hop{}, fmt.Errorf("%w: %v is an address of this machine; XDP sends to others only", ErrConfiguration, to)
	}
	if n.nameOf(route.LinkIndex) == "" {
		return hop{}, fmt.Errorf("%w: %v is not reached through the device given (%v), and no frames leave by another", ErrConfiguration, to, n)
	}
	if addr, ok := netip.AddrFromSlice(route.Gw); ok && !addr.IsUnspecified() {
		return hop{route.LinkIndex, addr.Unmap()}, nil
	}
	return hop{route.LinkIndex, to}, nil
}

// neighbours returns the neighbour tables of the devices.
func (n *network) neighbours() (map[hop][6]byte, error) {
	known := make(map[hop][6]byte)
	const valid = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
	for _, d := range n.devices {
		entries, err := n.kernel.NeighList(d.index, netlink.FAMILY_V4)
		if err != nil {
			return nil, fmt.Errorf("read neighbour table of device %s: %w", d.name, err)
		}
		for _, e := range entries {
			if addr, ok := netip.AddrFromSlice(e.IP); ok && e.State&valid != 0 && len(e.HardwareAddr) == 6 {
				known[hop{d.index, addr.Unmap()}] = [6]byte(e.HardwareAddr)
			}
		}
	}
	return known, nil
}

// located is a replica and where frames for it go.
type located struct {
	protocol.Member
	// device is the index of the one by which they leave.
	device int
}

// resolve finds out where frames for the replicas go. Nudge sends a replica
// something, which makes the kernel look for it.
func (n *network) resolve(ctx context.Context, replicas []Replica, nudge func(Replica)) ([]located, error) {
	hops := make([]hop, len(replicas))
	for i, r := range replicas {
		var err error
		if hops[i], err = n.nextHop(r.Address.Addr()); err != nil {
			return nil, fmt.Errorf("replica %d: %w", r.ID, err)
		}
	}
	started := time.Now()
	poll := time.NewTicker(resolvePoll)
	defer poll.Stop()
	for nudged := (time.Time{}); ; {
		known, err := n.neighbours()
		if err != nil {
			return nil, err
		}
		members, missing := locate(replicas, hops, known)
		if len(missing) == 0 {
			return members, nil
		}
		if time.Since(nudged) >= resolveNudge {
			nudged = time.Now()
			for _, i := range missing {
				nudge(replicas[i])
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			first := missing[0]
			return nil, fmt.Errorf("%w: replica %d: %v did not tell its hardware address on device %s within %v; is it up and on this network?",
				ErrConfiguration, replicas[first].ID, hops[first].addr, n.nameOf(hops[first].device), time.Since(started).Round(time.Millisecond))
		}
	}
}

// locate returns the replicas whose next hop is known, and the places of the
// others.
func locate(replicas []Replica, hops []hop, known map[hop][6]byte) (members []located, missing []int) {
	for i, r := range replicas {
		mac, ok := known[hops[i]]
		if !ok {
			missing = append(missing, i)
			continue
		}
		members = append(members, located{protocol.Member{ID: r.ID,
			Address: protocol.Address{IP: r.Address.Addr().As4(), Port: r.Address.Port(), MAC: mac}}, hops[i].device})
	}
	return members, missing
}
