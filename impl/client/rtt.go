// SPDX-License-Identifier: Apache-2.0

package client

import (
	"math/rand/v2"
	"sync"
	"time"
)

// roundTrips estimates how long an answer takes, as TCP does: a moving mean and
// deviation of what was measured. An answer names the attempt that it answers,
// so that retries can be measured too.
type roundTrips struct {
	mu             sync.Mutex
	mean, deviates time.Duration
}

func (r *roundTrips) measured(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mean == 0 {
		r.mean, r.deviates = d, d/2
		return
	}
	off := d - r.mean
	r.mean += off / 8
	r.deviates += (max(off, -off) - r.deviates) / 4
}

// patience returns how long to wait for an answer before sending the request for
// the nth time again (0 is the first). It is spread at random, so that clients
// whose requests were lost together do not send them again together.
func (r *roundTrips) patience(o *Options, n int) time.Duration {
	r.mu.Lock()
	wait := r.mean + 4*r.deviates
	r.mu.Unlock()
	if wait == 0 {
		wait = o.FirstRetry
	}
	wait = max(wait, o.MinRetry) << min(n, 16)
	wait = min(wait, o.MaxRetry)
	return wait + rand.N(wait/2+1)
}
