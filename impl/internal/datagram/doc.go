// SPDX-License-Identifier: Apache-2.0

// Package datagram sends and receives Dalio messages over UDP, many with one
// system call where the socket allows it, and without allocating.
package datagram
