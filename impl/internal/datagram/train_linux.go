// SPDX-License-Identifier: Apache-2.0

package datagram

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxCars is how many datagrams the kernel cuts out of a train at most, and
	// maxTrain how many bytes one may have.
	maxCars  = 64
	maxTrain = 65000
	// minCars is from how many on a train is cheaper than as many datagrams.
	minCars = 3
)

// cut is a control message by which the kernel sends one message as datagrams of a size.
type cut struct {
	header unix.Cmsghdr
	size   uint16
	_      [6]byte
}

// couple prepares headers for the datagrams from start on. Those to one receiver that
// follow one another and have one size travel as a train, if that is wanted: they pass
// the network stack once, and become datagrams where they leave it.
func (v *vector) couple(b *Batch, start int, trains, named bool) {
	v.starts = v.starts[:0]
	for i := start; i < b.n; {
		n := 1
		if trains {
			n = b.train(i)
		}
		v.starts = append(v.starts, i)
		for j := i; j < i+n; j++ {
			v.pieces[j].Base = unsafe.SliceData(b.buffers[j])
			v.pieces[j].SetLen(len(b.buffers[j]))
		}
		h := len(v.starts) - 1
		v.headers[h].Hdr = unix.Msghdr{Iov: &v.pieces[i]}
		header := &v.headers[h].Hdr
		header.SetIovlen(n)
		if named {
			header.Name, header.Namelen = (*byte)(unsafe.Pointer(&v.names[i])), unix.SizeofSockaddrInet4
		}
		if n > 1 {
			c := &v.cuts[h]
			c.header.Level, c.header.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
			c.header.SetLen(unix.CmsgLen(2))
			c.size = uint16(len(b.buffers[i]))
			header.Control = (*byte)(unsafe.Pointer(c))
			header.SetControllen(int(unsafe.Sizeof(*c)))
		}
		i += n
	}
	v.first, v.last = 0, len(v.starts)
	v.starts = append(v.starts, b.n)
}

// train returns how many datagrams from the ith on make a train; 1 is for none.
func (b *Batch) train(i int) int {
	size, n := len(b.buffers[i]), 1
	for i+n < b.n && n < maxCars && (n+1)*size <= maxTrain && len(b.buffers[i+n]) == size && b.addrs[i+n] == b.addrs[i] {
		n++
	}
	if n < minCars || size == 0 {
		return 1
	}
	return n
}
