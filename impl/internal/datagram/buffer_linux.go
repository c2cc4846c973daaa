// SPDX-License-Identifier: Apache-2.0

package datagram

import (
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetReceiveBuffer asks for a receive buffer, past the system's limit if the
// process may, and returns the size the kernel granted. The kernel counts its
// own bookkeeping against the buffer and doubles what is asked for to allow for it.
func SetReceiveBuffer(c *net.UDPConn, bytes int) (granted int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("receive buffer: %w", err)
	}
	controlErr := raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes) != nil {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
		}
		if err == nil {
			granted, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		}
	})
	if err == nil {
		err = controlErr
	}
	if err != nil {
		return 0, fmt.Errorf("receive buffer of %d bytes: %w", bytes, err)
	}
	return granted, nil
}

// Overflows returns how many datagrams the kernel has dropped because the
// receive buffer was full.
func Overflows(c *net.UDPConn) (uint64, error) {
	const drops, fields = 8, 9 // SK_MEMINFO_DROPS and the fields up to it, in linux/sock_diag.h.
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("receive buffer overflows: %w", err)
	}
	var info [fields]uint32
	var errno unix.Errno
	size := uint32(unsafe.Sizeof(info))
	err = raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("getsockopt", errno)
	}
	if err != nil {
		return 0, fmt.Errorf("receive buffer overflows: %w", err)
	}
	return uint64(info[drops]), nil
}
