// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"dalio/traces"
)

// Fill writes every ordinary key of the workload once.
func Fill(ctx context.Context, w Workload, clients []Client, deadline time.Duration) error {
	if err := w.Check(); err != nil {
		return err
	}
	value := strings.Repeat(".", w.ValueSize)
	errs := make([]error, len(clients))
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			for k := i; k < w.Keys && ctx.Err() == nil && errs[i] == nil; k += len(clients) {
				once, cancel := context.WithTimeout(ctx, deadline)
				if a := c.Do(once, traces.Write, w.key(k), value); a.Outcome != traces.OK {
					errs[i] = fmt.Errorf("fill key %s: %w", w.key(k), a.Err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
