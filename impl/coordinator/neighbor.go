// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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

// device is the network device that the data plane is attached to.
type device struct {
	name  string
	index int
	mac   [6]byte
	// kernel speaks with the network namespace in which the device was opened,
	// whatever the thread.
	kernel *netlink.Handle
}

// openDevice returns the device, which must have the address, and be closed.
func openDevice(name string, addr netip.Addr) (*device, error) {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	d := &device{name: name, kernel: kernel}
	if err := d.find(addr); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *device) find(addr netip.Addr) error {
	link, err := d.kernel.LinkByName(d.name)
	if err != nil {
		return fmt.Errorf("%w: device %s: %w; ip link lists the devices of this network namespace", ErrConfiguration, d.name, err)
	}
	d.index = link.Attrs().Index
	if copy(d.mac[:], link.Attrs().HardwareAddr) != len(d.mac) || d.mac == [6]byte{} {
		return fmt.Errorf("%w: device %s is not an Ethernet device", ErrConfiguration, d.name)
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		return fmt.Errorf("%w: device %s is down: ip link set %s up", ErrConfiguration, d.name, d.name)
	}
	if link.Attrs().MTU < 1500 {
		return fmt.Errorf("%w: device %s has an MTU of %d, and the largest messages need 1500", ErrConfiguration, d.name, link.Attrs().MTU)
	}
	addrs, err := d.kernel.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses of device %s: %w", d.name, err)
	}
	for _, a := range addrs {
		if a.IP.Equal(addr.AsSlice()) {
			return nil
		}
	}
	return fmt.Errorf("%w: device %s does not have the address %v", ErrConfiguration, d.name, addr)
}

func (d *device) close() { d.kernel.Close() }

// present returns an error if the device is gone.
func (d *device) present() error {
	if _, err := d.kernel.LinkByIndex(d.index); err != nil {
		return fmt.Errorf("device %s is gone, and the data plane with it: %w", d.name, err)
	}
	return nil
}

// nextHop returns the neighbour through which an address is reached.
func (d *device) nextHop(to netip.Addr) (netip.Addr, error) {
	routes, err := d.kernel.RouteGet(to.AsSlice())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: no route to %v: %w", ErrConfiguration, to, err)
	}
	if len(routes) == 0 {
		return netip.Addr{}, fmt.Errorf("%w: no route to %v", ErrConfiguration, to)
	}
	route := routes[0]
	if route.Type == unix.RTN_LOCAL {
		return netip.Addr{}, fmt.Errorf("%w: %v is an address of this machine; XDP sends to others only", ErrConfiguration, to)
	}
	if route.LinkIndex != d.index {
		return netip.Addr{}, fmt.Errorf("%w: %v is not reached through device %s, and all frames leave by that", ErrConfiguration, to, d.name)
	}
	if hop, ok := netip.AddrFromSlice(route.Gw); ok && !hop.IsUnspecified() {
		return hop.Unmap(), nil
	}
	return to, nil
}

// neighbours returns the device's neighbour table.
func (d *device) neighbours() (map[netip.Addr][6]byte, error) {
	entries, err := d.kernel.NeighList(d.index, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("read neighbour table of device %s: %w", d.name, err)
	}
	known := make(map[netip.Addr][6]byte)
	const valid = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
	for _, e := range entries {
		if addr, ok := netip.AddrFromSlice(e.IP); ok && e.State&valid != 0 && len(e.HardwareAddr) == 6 {
			known[addr.Unmap()] = [6]byte(e.HardwareAddr)
		}
	}
	return known, nil
}

// resolve finds out where frames for the replicas go, and returns them as
// members. Nudge sends a replica something, which makes the kernel look for it.
func (d *device) resolve(ctx context.Context, replicas []Replica, nudge func(Replica)) ([]protocol.Member, error) {
	hops := make([]netip.Addr, len(replicas))
	for i, r := range replicas {
		var err error
		if hops[i], err = d.nextHop(r.Address.Addr()); err != nil {
			return nil, fmt.Errorf("replica %d: %w", r.ID, err)
		}
	}
	started := time.Now()
	poll := time.NewTicker(resolvePoll)
	defer poll.Stop()
	for nudged := (time.Time{}); ; {
		known, err := d.neighbours()
		if err != nil {
			return nil, err
		}
		members, missing := membersOf(replicas, hops, known)
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
				ErrConfiguration, replicas[first].ID, hops[first], d.name, time.Since(started).Round(time.Millisecond))
		}
	}
}

// membersOf returns the replicas whose next hop is known as members, and the
// places of the others.
func membersOf(replicas []Replica, hops []netip.Addr, known map[netip.Addr][6]byte) (members []protocol.Member, missing []int) {
	for i, r := range replicas {
		mac, ok := known[hops[i]]
		if !ok {
			missing = append(missing, i)
			continue
		}
		members = append(members, protocol.Member{ID: r.ID,
			Address: protocol.Address{IP: r.Address.Addr().As4(), Port: r.Address.Port(), MAC: mac}})
	}
	return members, missing
}
