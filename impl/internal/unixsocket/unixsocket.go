// SPDX-License-Identifier: Apache-2.0

// Package unixsocket listens on and dials unix sockets at paths of any length.
package unixsocket

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxPath is the longest path that a unix socket's address holds.
const maxPath = 107

// Address returns an address for a socket at a path of any length: a long one is
// shortened by way of a descriptor of its folder, until done is called.
func Address(path string) (address string, done func(), err error) {
	if len(path) <= maxPath {
		return path, func() {}, nil
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	address = fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))
	return address, func() { folder.Close() }, nil
}

// Dial connects to the socket at a path.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	address, done, err := Address(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", address)
}
