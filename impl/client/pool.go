// SPDX-License-Identifier: Apache-2.0

package client

import (
	"sync"
	"time"
)

// pool keeps lanes that have no operation, the last used on top: the lanes that a
// client does not need any more grow old at the bottom.
type pool struct {
	client *Client
	trips  roundTrips

	mu   sync.Mutex
	free []*lane
}

func (p *pool) take(now time.Time) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		l := p.free[n-1]
		p.free = p.free[:n-1]
		if now.Sub(l.idleSince) > p.client.options.SessionIdle {
			l.forget()
		}
		return l
	}
	return p.client.addLane(&p.trips)
}

func (p *pool) put(l *lane) {
	l.reset()
	l.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, l)
}
