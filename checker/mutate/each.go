// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// each calls a function with all numbers below n, some at a time, and returns the first
// error; after it nothing more is begun.
func each(parallel, n int, do func(i int) error) error {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			return do(i)
		})
	}
	return group.Wait()
}
