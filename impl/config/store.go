// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"errors"
)

// Revision names one state of the configuration; 0 is that before there was any.
type Revision int64

// The errors of a Store that say something about the configuration. Any other
// error of Swap leaves open whether the change was made: Load tells.
var (
	// ErrNone is returned by Load when the shard has no configuration yet.
	ErrNone = errors.New("the shard has no configuration yet")
	// ErrChanged is returned by Swap when the configuration is not the one that the
	// change was based on.
	ErrChanged = errors.New("the configuration has changed meanwhile")
)

// Store keeps a shard's configuration.
type Store interface {
	// Load returns the newest configuration.
	Load(ctx context.Context) (Config, Revision, error)
	// Swap puts a configuration in place of the one of the revision it is based on.
	Swap(ctx context.Context, base Revision, next Config) (Revision, error)
}
