// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"context"
	"io"

	"dalio/impl/load"
)

// copies is how many there are of the data, in every system.
const copies = 3

// System is a replicated store that can be started.
type System interface {
	// Name is a short word for rows and keys.
	Name() string
	// Promise says what is true of an acknowledged write, and of a read.
	Promise() string
	// Start starts it with its files in a folder that is empty, and returns when it
	// serves.
	Start(ctx context.Context, dir string) (Running, error)
}

// Running is a system that serves.
type Running interface {
	// Clients returns clients of the system, each for one operation at a time.
	Clients(ctx context.Context, n int) ([]load.Client, error)
	// Closer ends its processes and its clients.
	io.Closer
}
