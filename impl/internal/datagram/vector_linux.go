// SPDX-License-Identifier: Apache-2.0

package datagram

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// vector is what the kernel takes a batch in. Its two functions are made once,
// because a closure for every system call would be an allocation.
type vector struct {
	headers []unix.Mmsghdr
	pieces  []unix.Iovec
	names   []unix.RawSockaddrInet4
	// cuts tell the kernel where to cut a train, and starts has the first datagram of
	// each header and, behind the last, how many there are.
	cuts    []cut
	starts  []int
	receive func(fd uintptr) bool
	send    func(fd uintptr) bool

	// armed is how many headers are ready to receive into: the kernel writes to those
	// that it fills.
	armed int

	// The headers of the call in hand, and its result.
	first, last int
	done        int
	errno       syscall.Errno
}

func (v *vector) init(size int) {
	v.headers = make([]unix.Mmsghdr, size)
	v.pieces = make([]unix.Iovec, size)
	v.names = make([]unix.RawSockaddrInet4, size)
	v.cuts, v.starts = make([]cut, size), make([]int, 0, size+1)
	v.receive = func(fd uintptr) bool { return v.call(unix.SYS_RECVMMSG, fd) }
	v.send = func(fd uintptr) bool { return v.call(unix.SYS_SENDMMSG, fd) }
}

// call makes the system call, and returns false if the socket is not ready.
func (v *vector) call(number, fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(number, fd, uintptr(unsafe.Pointer(&v.headers[v.first])),
			uintptr(v.last-v.first), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		v.done, v.errno = int(n), errno
		return true
	}
}

// vectored says whether the socket is of IPv4, whose addresses a vector holds.
func vectored(raw syscall.RawConn) bool {
	domain := 0
	err := raw.Control(func(fd uintptr) {
		domain, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	})
	return err == nil && domain == unix.AF_INET
}

func (c *Conn) readVector(b *Batch) error {
	v := &b.vector
	b.n = 0
	if v.armed != len(v.headers) {
		for i := range v.headers {
			v.receiveInto(i, b.buffers[i][:bufferSize])
		}
	}
	v.first, v.last, v.armed = 0, len(v.headers), 0
	if err := c.raw.Read(v.receive); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if v.errno != 0 {
		return fmt.Errorf("receive: %w", os.NewSyscallError("recvmmsg", v.errno))
	}
	b.n = v.done
	for i := range b.n {
		from := netip.AddrPortFrom(netip.AddrFrom4(v.names[i].Addr), swapped(v.names[i].Port))
		b.received(i, int(v.headers[i].Len), from)
		v.receiveInto(i, b.buffers[i][:bufferSize])
	}
	v.armed = len(v.headers)
	return nil
}

func (c *Conn) writeVector(b *Batch) (sent int, err error) {
	v := &b.vector
	v.armed = 0
	for i := range b.n {
		v.names[i] = unix.RawSockaddrInet4{Family: unix.AF_INET,
			Port: swapped(b.addrs[i].Port()), Addr: address4(b.addrs[i])}
	}
	trains := !c.noTrains.Load()
	v.couple(b, 0, trains, !c.connected)
	told := false
	for v.first < v.last {
		if err := c.raw.Write(v.send); err != nil {
			return sent, fmt.Errorf("send: %w", err)
		}
		if v.errno == 0 {
			sent += v.starts[v.first+v.done] - v.starts[v.first]
			v.first += v.done
			continue
		}
		if isRefusal(v.errno) && !told {
			// This is what became of an earlier datagram, and this one was not tried.
			told = true
			continue
		}
		start := v.starts[v.first]
		if trains && v.starts[v.first+1]-start > 1 {
			// One by one, each has its own luck.
			trains = false
			if v.errno == unix.EIO || v.errno == unix.EINVAL || v.errno == unix.ENOPROTOOPT {
				c.noTrains.Store(true)
			}
			v.couple(b, start, false, !c.connected)
			continue
		}
		// The call fails only for its first datagram; the next may have better luck.
		if err == nil {
			err = fmt.Errorf("send to %v: %w", b.addrs[start], os.NewSyscallError("sendmmsg", v.errno))
		}
		v.first++
	}
	return sent, err
}

// receiveInto prepares the ith header for a datagram.
func (v *vector) receiveInto(i int, buffer []byte) {
	v.pieces[i].Base = unsafe.SliceData(buffer)
	v.pieces[i].SetLen(len(buffer))
	v.headers[i].Hdr = unix.Msghdr{Iov: &v.pieces[i], Name: (*byte)(unsafe.Pointer(&v.names[i])), Namelen: unix.SizeofSockaddrInet4}
	v.headers[i].Hdr.SetIovlen(1)
}

func address4(a netip.AddrPort) [4]byte {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return ip.As4()
	}
	return [4]byte{}
}

// swapped turns a port from network to host order and back.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}
