// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"time"

	"dalio/traces"
)

// ReadAll reads the keys one after the other as a process of its own, each within
// the deadline, and returns an error if one can't be read: when all is whole again,
// a write that was acknowledged and is lost shows here at the latest.
func ReadAll(ctx context.Context, c Client, keys []string, recorder *traces.Recorder, process int, deadline time.Duration) error {
	for _, key := range keys {
		recorder.Invoke(process, traces.Read, key, nil)
		reading, cancel := context.WithTimeout(ctx, deadline)
		a := c.Do(reading, traces.Read, key, "")
		cancel()
		if a.Outcome != traces.OK {
			return fmt.Errorf("the last read of %s, with nothing broken: %w", key, a.Err)
		}
		var value *string
		if a.Found {
			value = &a.Value
		}
		recorder.CompleteVersion(process, traces.OK, value, a.Version)
	}
	return recorder.Err()
}
