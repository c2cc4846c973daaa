// SPDX-License-Identifier: Apache-2.0

// Package control is how the control plane speaks with a replica, and a joining
// replica with the one that it catches up from: HTTP/1.1 on TCP, at the address
// and port number that the replica's messages go to by UDP. Requests and answers
// are JSON but for the bulk of the data, which is a stream of frames, each a
// message of the wire format (see [Writer]).
//
// Every request is safe to send again. One that a replica refuses changes
// nothing, and is answered with an [Error].
package control
