// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package datagram

import (
	"errors"
	"net"
	"syscall"
)

// vector is empty where no system call takes a batch.
type vector struct{}

func (*vector) init(int) {}

func vectored(syscall.RawConn) bool { return false }

func (*Conn) readVector(*Batch) error { return errors.ErrUnsupported }

func (*Conn) writeVector(*Batch) (int, error) { return 0, errors.ErrUnsupported }

// SetReceiveBuffer asks for a receive buffer; what the system granted is unknown.
func SetReceiveBuffer(c *net.UDPConn, bytes int) (granted int, err error) {
	return bytes, c.SetReadBuffer(bytes)
}

// Overflows is not counted here.
func Overflows(*net.UDPConn) (uint64, error) { return 0, errors.ErrUnsupported }
