// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"time"
)

// Paced returns the client, which begins an operation every so often at most. One
// that was held up does not catch up on what it left out.
func Paced(c Client, every time.Duration) Client { return &paced{Client: c, every: every} }

type paced struct {
	Client
	every time.Duration
	next  time.Time
}

func (p *paced) Do(ctx context.Context, f, key, value string) Answer {
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	} else {
		time.Sleep(p.next.Sub(now))
	}
	p.next = p.next.Add(p.every)
	return p.Client.Do(ctx, f, key, value)
}
