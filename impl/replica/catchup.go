// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"dalio/impl/internal/failpoint"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

const (
	// A catch-up goes by ranges of the keys, 2^catchUpBits of them at least, and so
	// many that one has rangeBytes or less, if that many can be.
	catchUpBits = 8
	rangeBytes  = 1 << 20
	// burst is what may be received at once, whatever the rate, and portion what is
	// received before it is waited for the rate: to sleep and wake up for each record
	// costs more than the record does.
	burst   = 256 << 10
	portion = 64 << 10
	// catchUpRetries bounds how often a broken connection is made anew, without
	// any range being finished in between.
	catchUpRetries = 5
	retryPause     = 100 * time.Millisecond
)

var catchUpRange = failpoint.New("replica.catch-up-range")

// catchUp is a catch-up that runs, or has run.
type catchUp struct {
	request control.CatchUp
	cancel  context.CancelFunc

	mu       sync.Mutex
	progress control.Progress
	// done has the ranges that are equal, 2^bits of them; nil before it is known how
	// many there are.
	done []bool
	bits int
}

// progress returns how far the catch-up is, if there is one.
func (s *Server) progress() control.Progress {
	s.catchUpMu.Lock()
	defer s.catchUpMu.Unlock()
	if s.catchUp == nil {
		return control.Progress{State: control.None}
	}
	s.catchUp.mu.Lock()
	defer s.catchUp.mu.Unlock()
	return s.catchUp.progress
}

// startCatchUp begins to catch up, or goes on where it failed.
func (s *Server) startCatchUp(r control.CatchUp) error {
	s.membership.RLock()
	defer s.membership.RUnlock()
	if s.replica.ID != r.ID || s.replica.Epoch != r.Epoch || s.replica.Fenced || r.ID == 0 {
		return s.refuse("the replica is not member %d of epoch %d", r.ID, r.Epoch)
	}
	s.catchUpMu.Lock()
	defer s.catchUpMu.Unlock()
	if c := s.catchUp; c != nil {
		c.mu.Lock()
		state := c.progress.State
		c.mu.Unlock()
		if c.request == r && state != control.Failed {
			return nil
		}
		// What is equal already is not fetched again: the digests tell.
		c.cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &catchUp{request: r, cancel: cancel, progress: control.Progress{State: control.Running, Source: r.Source}}
	s.catchUp = c
	s.beside(func() {
		defer cancel()
		err := s.runCatchUp(ctx, c)
		if err == nil {
			err = s.sync() // Others rely on what is done.
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.progress.State = control.Done
		if err != nil {
			c.progress.State, c.progress.Error = control.Failed, err.Error()
			s.options.Logger.Warn("catch-up failed", "source", r.Source, "error", err)
		}
	})
	return nil
}

// forgetCatchUp ends a catch-up with the membership that it was of, and does not
// wait: it finds out when it next looks at the membership, under which it changes
// anything.
func (s *Server) forgetCatchUp() {
	s.catchUpMu.Lock()
	defer s.catchUpMu.Unlock()
	if s.catchUp != nil {
		s.catchUp.cancel()
		s.catchUp = nil
	}
}

// runCatchUp makes this replica hold what its source holds. The sessions are asked
// for first, and each record later brings that of its writer. But they are recorded
// last: a session record tells that a write took effect, which may be a pending one
// that the source has, and that this replica lacks if another source goes on.
func (s *Server) runCatchUp(ctx context.Context, c *catchUp) error {
	source := s.source(c.request)
	defer source.Close()
	limit := newThrottle(c.request.Rate)
	var sessions []protocol.SessionRecord // The size of the session table at most.
	err := s.persist(ctx, c, func() error {
		sessions = sessions[:0]
		return source.Sessions(ctx, c.request.Epoch, func(m *protocol.Message) error {
			sessions = append(sessions, sessionRecord(m))
			return nil
		})
	})
	if err != nil {
		return err
	}
	for round := 1; ; round++ {
		status, err := source.Status(ctx)
		if err != nil {
			return err
		}
		c.divide(status.Bytes, s.rangeBits())
		missing := 0
		for i := range c.done {
			if c.isDone(i) {
				continue
			}
			err := s.persist(ctx, c, func() error {
				n, err := s.level(ctx, c, source, limit, i, status.Floor)
				missing += n
				return err
			})
			if err != nil {
				return err
			}
		}
		// After the first round this replica holds all that was settled when the
		// second began; what differs then is what is being written.
		if round > 1 {
			if missing > 0 {
				return fmt.Errorf("%d settled records were missing after all ranges had been fetched from %v", missing, c.request.Source)
			}
			return s.during(c, func() {
				for _, r := range sessions {
					s.sessions.Record(r)
				}
				s.tell("CaughtUp", c.request.Source.String())
			})
		}
		c.restart()
	}
}

// level makes one range equal to the source's: if the digests differ, it is fetched.
func (s *Server) level(ctx context.Context, c *catchUp, source *control.Client, limit *throttle, index int, settled protocol.Version) (missing int, err error) {
	theirs, err := source.Digest(ctx, c.request.Epoch, c.bits, index)
	if err != nil {
		return 0, err
	}
	ours, earlier := s.digest(c.bits, index)
	if theirs == ours && !earlier {
		c.finish(index, true)
		return 0, nil
	}
	if missing, err = s.fetch(ctx, c, source, limit, index, settled); err == nil {
		c.finish(index, false)
	}
	return missing, err
}

// throttle bounds the bytes a second.
type throttle struct {
	limiter *rate.Limiter
	due     int
}

func newThrottle(bytes int64) *throttle {
	limit := rate.Inf
	if bytes > 0 {
		limit = rate.Limit(bytes)
	}
	return &throttle{limiter: rate.NewLimiter(limit, burst)}
}

// wait waits until so much more may be received.
func (t *throttle) wait(ctx context.Context, bytes int) error {
	if t.due += bytes; t.due < portion {
		return nil
	}
	due := t.due
	t.due = 0
	return t.limiter.WaitN(ctx, due)
}

// fetch merges one range. It returns how many of the source's records up to the
// settled version were not here.
func (s *Server) fetch(ctx context.Context, c *catchUp, source *control.Client, limit *throttle, index int, settled protocol.Version) (missing int, err error) {
	if err := catchUpRange.Hit(); err != nil {
		return 0, err
	}
	err = source.Range(ctx, c.request.Epoch, c.bits, index, func(m *protocol.Message) error {
		size := protocol.HeaderSize + len(m.Key) + len(m.Value)
		if err := limit.wait(ctx, size); err != nil {
			return err
		}
		r := recordOf(m)
		changed, err := s.merge(c, m.Key, r, sessionRecord(m))
		if changed && !settled.Less(r.Version) {
			missing++
		}
		c.received(size, changed)
		return err
	})
	if err != nil {
		return missing, err
	}
	return missing, s.discard(c, index)
}

// discard removes what is from before this membership and the source does not hold:
// what it holds has come under this one.
func (s *Server) discard(c *catchUp, index int) error {
	var surplus []string
	s.eachStripe(ofRange(c.bits, index), func(stripe int) {
		s.store.Each(stripe, func(key string, _ protocol.Record, earlier bool) bool {
			if earlier && rangeOf(key, c.bits) == index {
				surplus = append(surplus, key)
			}
			return true
		})
	})
	for _, key := range surplus {
		if _, err := s.merge(c, []byte(key), protocol.Record{}, protocol.SessionRecord{}); err != nil {
			return err
		}
	}
	return nil
}

// merge takes over a record, if the membership is still that of the catch-up.
func (s *Server) merge(c *catchUp, key []byte, r protocol.Record, session protocol.SessionRecord) (changed bool, err error) {
	err = s.during(c, func() {
		stripe := StripeOf(key)
		s.stripes[stripe].Lock()
		defer s.stripes[stripe].Unlock()
		changed = s.store.Merge(stripe, key, r)
		if session.Session != 0 {
			s.sessions.Record(session)
		}
	})
	return changed, err
}

// during does something if the membership is still that of the catch-up.
func (s *Server) during(c *catchUp, f func()) error {
	s.membership.RLock()
	defer s.membership.RUnlock()
	if s.replica.ID != c.request.ID || s.replica.Epoch != c.request.Epoch || s.replica.Fenced {
		return errors.New("the membership has ended")
	}
	f()
	return nil
}

// persist tries again when a connection broke.
func (s *Server) persist(ctx context.Context, c *catchUp, try func() error) error {
	for tries := 1; ; tries++ {
		err := try()
		var refused *control.Error
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil || tries > catchUpRetries {
			return err
		}
		c.mu.Lock()
		c.progress.Retries++
		c.mu.Unlock()
		if !s.pause(ctx, retryPause) {
			return err
		}
	}
}

func (c *catchUp) isDone(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[i]
}

// finish takes note of a range that is equal, skipped if it need not be fetched.
func (c *catchUp) finish(i int, skipped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[i] = true
	c.progress.Done++
	if skipped {
		c.progress.Skipped++
	}
}

// divide settles how many ranges there are, if it is not settled.
func (c *catchUp) divide(bytes int64, bits int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		for c.bits = bits; c.bits < control.MaxBits && bytes>>c.bits > rangeBytes; c.bits++ {
		}
		c.done = make([]bool, 1<<c.bits)
	}
	c.progress.Total = len(c.done)
}

// restart begins the second round.
func (c *catchUp) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.done)
	c.progress.Done = 0
}

func (c *catchUp) received(size int, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.Bytes += int64(size)
	if changed {
		c.progress.Records++
	}
}
