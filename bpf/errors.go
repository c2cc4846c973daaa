// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The causes that a user can do something about.
var (
	// ErrPermission is returned when the process may not use BPF. Without
	// CAP_PERFMON the kernel would put barriers against speculation between the
	// data plane's instructions, and it refuses some of its arithmetic.
	ErrPermission = errors.New("not permitted: run as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
	// ErrKernel is returned when the kernel lacks what the data plane needs.
	ErrKernel = errors.New("the kernel lacks a BPF feature: Linux 5.14 or newer with XDP is needed")
	// ErrNoDevice is returned for a device that does not exist.
	ErrNoDevice = errors.New("no such device in this network namespace")
	// ErrNoNativeXDP is returned when a device's driver can't run XDP itself.
	// Generic XDP is never used: multicast does not work there as it does here.
	ErrNoNativeXDP = errors.New("the device has no native XDP: use another device or driver")
	// ErrDeviceBusy is returned when a device has an XDP program already.
	ErrDeviceBusy = errors.New("the device has an XDP program already: detach it first, as with ip link set dev DEV xdp off")
	// ErrMTU is returned when a device's frames may be too large for native XDP.
	ErrMTU = errors.New("the MTU is too large for native XDP: lower it to 1500 on the device and, for veth, on its peer")
)

// ExplainLoad puts one sentence in front of what the kernel said when it was to load
// a program: ErrPermission or ErrKernel for that cause.
func ExplainLoad(err error) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.Is(err, unix.EPERM), !mayUsePointers():
		// The verifier's log would only confuse: it tells of forbidden arithmetic.
		return fmt.Errorf("%w (%v)", ErrPermission, err)
	case errors.As(err, &verifier):
		return fmt.Errorf("the kernel's verifier refused a program: %w\n%+v", err, verifier)
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w (%w)", ErrKernel, err)
	}
	return err
}

// mayUsePointers says whether the verifier treats the process as it must treat
// the loader of the data plane.
func mayUsePointers() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return true
	}
	has := func(capability int) bool { return sets[capability/32].Effective>>(capability%32)&1 != 0 }
	return has(unix.CAP_PERFMON) || has(unix.CAP_SYS_ADMIN)
}

func explainAttach(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (%w)", ErrPermission, err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%w (%w)", ErrDeviceBusy, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w (%w)", ErrNoNativeXDP, err)
	case errors.Is(err, unix.ERANGE):
		return fmt.Errorf("%w (%w)", ErrMTU, err)
	}
	return err
}
