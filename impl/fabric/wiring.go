// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	bridgeName = "rack0"
	// Device is the name of the network device in every node.
	Device = "eth0"
	mtu    = 1500
)

// subnet is the same in every rack: racks share no network.
var subnet = netip.MustParsePrefix("10.77.0.0/24")

// address is the address of host number host in the rack.
func address(host uint8) netip.Addr {
	base := subnet.Addr().As4()
	base[3] = host
	return netip.AddrFrom4(base)
}

// hardwareAddress is a locally administered MAC address that spells addr.
func hardwareAddress(addr netip.Addr) net.HardwareAddr {
	b := addr.As4()
	return net.HardwareAddr{0x02, 0xda, b[0], b[1], b[2], b[3]}
}

// silence keeps the kernel from sending frames of its own, which would shift
// the numbers of the frames under test.
func silence() error {
	return errors.Join(
		setSysctl("ipv6/conf/all/disable_ipv6", "1"),
		setSysctl("ipv6/conf/default/disable_ipv6", "1"))
}

// sparePacketFilter keeps frames on the bridge out of the packet filter, which has
// no rules here and would cost as much as the bridge itself. A kernel without the
// setting does not look at them anyway.
func sparePacketFilter() error {
	for _, family := range []string{"iptables", "ip6tables", "arptables"} {
		err := setSysctl("bridge/bridge-nf-call-"+family, "0")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// buildBridge makes the bridge, in the namespace the caller is in.
func buildBridge() error {
	if err := errors.Join(silence(), sparePacketFilter()); err != nil {
		return err
	}
	snooping := false
	bridge := &netlink.Bridge{
		LinkAttrs:         netlink.LinkAttrs{Name: bridgeName, MTU: mtu},
		MulticastSnooping: &snooping,
	}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge: %w", err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set bridge up: %w", err)
	}
	return nil
}

// plug joins a namespace to the bridge and returns the interface index of the
// port. The caller is in the bridge's namespace. The bridge knows where every
// node is and floods nothing but broadcasts, so a frame crosses one port.
func plug(node *Namespace, port string, mac net.HardwareAddr) (int, error) {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return 0, fmt.Errorf("find bridge: %w", err)
	}
	veth := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: port, MTU: mtu, MasterIndex: bridge.Attrs().Index},
		PeerName:         Device,
		PeerHardwareAddr: mac,
		PeerNamespace:    netlink.NsFd(node.handle),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return 0, fmt.Errorf("add link %s: %w", port, err)
	}
	if err := disableOffloads(port); err != nil {
		return 0, err
	}
	if err := netlink.LinkSetLearning(veth, false); err != nil {
		return 0, fmt.Errorf("switch off learning on %s: %w", port, err)
	}
	if err := netlink.LinkSetFlood(veth, false); err != nil {
		return 0, fmt.Errorf("switch off flooding on %s: %w", port, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return 0, fmt.Errorf("set %s up: %w", port, err)
	}
	entry := &netlink.Neigh{
		LinkIndex:    veth.Index,
		Family:       unix.AF_BRIDGE,
		State:        netlink.NUD_NOARP,
		Flags:        netlink.NTF_MASTER,
		HardwareAddr: mac,
	}
	if err := netlink.NeighSet(entry); err != nil {
		return 0, fmt.Errorf("teach the bridge the address behind %s: %w", port, err)
	}
	return veth.Index, nil
}

// configureNode sets up the inside of a node, in whose namespace the caller is.
func configureNode(addr netip.Addr) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	if err := disableOffloads(Device); err != nil {
		return err
	}
	device, err := netlink.LinkByName(Device)
	if err != nil {
		return fmt.Errorf("find %s: %w", Device, err)
	}
	ip := &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(subnet.Bits(), addr.BitLen())}
	if err := netlink.AddrAdd(device, &netlink.Addr{IPNet: ip}); err != nil {
		return fmt.Errorf("add address %s to %s: %w", addr, Device, err)
	}
	if err := netlink.LinkSetUp(device); err != nil {
		return fmt.Errorf("set %s up: %w", Device, err)
	}
	return nil
}

// awaitCarrier waits until the bridge forwards frames to and from a port. The
// kernel notices that both ends of a veth are up in its own time.
func awaitCarrier(port int) error {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		device, err := netlink.LinkByIndex(port)
		if err != nil {
			return fmt.Errorf("find port: %w", err)
		}
		if device.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has no carrier after %v", device.Attrs().Name, patience)
		}
	}
}

// disableOffloads makes a veth behave like a wire. With them on, frames would
// carry half a checksum and be longer than the MTU, and neither survives an
// XDP program or user space.
func disableOffloads(device string) error {
	offloads := []uint32{unix.ETHTOOL_STXCSUM, unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("switch off offloads of %s: %w", device, err)
	}
	defer unix.Close(socket)
	for _, command := range offloads {
		err := ethtool(socket, device, command, 0)
		// A device whose peer runs XDP has lost some of them already.
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("switch off offload %#x of %s: %w", command, device, err)
		}
	}
	return nil
}

// ethtool sends one command of the kind that sets a number.
func ethtool(socket int, device string, command, value uint32) error {
	number := struct{ command, value uint32 }{command, value}
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	request.data = unsafe.Pointer(&number)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&number)
	if errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}

// loadPass loads the program of the ports: a veth takes the frames that its
// peer redirects or bounces only if it has an XDP program itself.
func loadPass() (*ebpf.Program, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "pass",
		Type:         ebpf.XDP,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
		License:      "Apache-2.0",
	})
	if err != nil {
		return nil, fmt.Errorf("load pass program: %w", err)
	}
	return program, nil
}
