// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"dalio/bpf"
)

// endPoll is how often it is looked whether the program of a process that has ended
// is gone.
const endPoll = 10 * time.Millisecond

// ErrPredecessor is returned when the program of an earlier process of the replica
// stays on its device.
var ErrPredecessor = errors.New("the read path of an earlier process of this replica still answers: end that process, or detach its program with ip link set dev DEV xdp off")

// DeviceOf returns the device that has the address, in the calling thread's network
// namespace. It returns bpf.ErrNoDevice if none has.
func DeviceOf(addr netip.Addr) (*net.Interface, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the devices of this machine: %w", err)
	}
	for i := range devices {
		addresses, err := devices[i].Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of device %s: %w", devices[i].Name, err)
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr() == addr {
				return &devices[i], nil
			}
		}
	}
	return nil, fmt.Errorf("find the device that has the address %v: %w", addr, bpf.ErrNoDevice)
}

// AwaitEnd returns when no program of an earlier process answers for the address on
// the device. A process's program ends with it, but a moment after its sockets; a
// replica must do nothing before that. It returns ErrPredecessor when ctx is done.
func AwaitEnd(ctx context.Context, device *net.Interface, address netip.AddrPort) error {
	poll := time.NewTicker(endPoll)
	defer poll.Stop()
	for {
		there, err := isThere(device, address)
		if err != nil || !there {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("device %s: %w", device.Name, ErrPredecessor)
		}
	}
}

// isThere says whether the device runs a program of this package for the address.
func isThere(device *net.Interface, address netip.AddrPort) (bool, error) {
	l, err := netlink.LinkByIndex(device.Index)
	if err != nil {
		return false, fmt.Errorf("look at device %s: %w", device.Name, err)
	}
	xdp := l.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return false, nil
	}
	// Who may not look at programs could not have attached one either, and one that is
	// gone meanwhile is gone.
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(xdp.ProgId))
	if err != nil {
		return false, nil
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil || info.Name != readerProgReplicaReads {
		return false, nil
	}
	constants, err := constantsOf(info)
	if err != nil {
		return false, fmt.Errorf("look at the program on device %s: %w", device.Name, err)
	}
	spec, err := loadReader()
	if err != nil {
		return false, err
	}
	ip, port := address.Addr().As4(), bigEndian(address.Port())
	return has(constants, spec.Variables[readerVarReplicaIp], ip[:]) && has(constants, spec.Variables[readerVarReplicaPort], port[:]), nil
}

func has(constants []byte, v *ebpf.VariableSpec, value []byte) bool {
	from := int(v.Offset)
	return from+len(value) <= len(constants) && string(constants[from:][:len(value)]) == string(value)
}

// constantsOf returns what a program was loaded with.
func constantsOf(info *ebpf.ProgramInfo) ([]byte, error) {
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return nil, err
		}
		about, err := m.Info()
		if err == nil && strings.HasSuffix(about.Name, ".rodata") {
			constants, err := m.LookupBytes(uint32(0))
			return constants, errors.Join(err, m.Close())
		}
		if err := errors.Join(err, m.Close()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
