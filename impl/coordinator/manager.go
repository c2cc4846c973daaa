// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

const (
	// probeInterval is how often members, or the coordinator that is stood by for,
	// are asked whether they are there.
	probeInterval = 25 * time.Millisecond
	// asleep is after how long without a probe of ours the silence of others is
	// ours: this process did not run.
	asleep = 4 * probeInterval
	// readyTimeout bounds the time until somebody serves.
	readyTimeout = 25 * time.Second
	// grace is how long a taking over waits for members that do not answer, and
	// founding how long the first opening does.
	grace    = 200 * time.Millisecond
	founding = 5 * time.Second
	// settling is how long another coordinator has to open the epoch that it has
	// taken, before it is taken from it.
	settling = 3 * time.Second
	// A step that failed is tried again after a pause that doubles.
	retryMin, retryMax = 10 * time.Millisecond, 500 * time.Millisecond
	// drift is by how much one machine's clock may run faster than another's.
	drift = 0.01
)

// manager keeps the members of a shard: it looks at what is known, has the next
// step named, and takes it, one after the other.
type manager struct {
	*Coordinator
	shared   Shared
	asker    *asker
	steps    *membership.Manager
	executor *membership.Executor
	swaps    *swaps
	peers    *prober
	began    time.Time
	cancel   context.CancelFunc
	running  sync.WaitGroup
	ready    chan struct{}
	once     sync.Once

	// wake gets an entry when there may be something to do.
	wake chan struct{}
	// stale: the configuration has changed, or may have.
	stale atomic.Bool

	mu       sync.Mutex
	known    config.Config
	revision config.Revision
	// loaded: there is a configuration.
	loaded    bool
	followers map[netip.AddrPort]*follower
	joining   map[netip.AddrPort]protocol.ReplicaID
	taking    bool
	// oldDisks has the members of whose disks was warned, by index.
	oldDisks [protocol.MaxMembers]protocol.ReplicaID
	// wanted is why the epoch should be taken, "" if it should not.
	wanted string
	// hurry ends the step in hand, if it is one that can be done at any other time.
	hurry context.CancelFunc
	// trouble is what the last step failed with, for people to see.
	trouble string
	// awake is when this process is known to have run last.
	awake   time.Time
	peer    peer
	floor   floor
	present []config.Presence
	redrive redrive
}

func (c *Coordinator) startManager(ctx context.Context) error {
	o := c.options
	// From another port than the data plane's: it has no business with the answers.
	peers, err := newProber(netip.AddrPortFrom(o.Listen.Addr(), 0))
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := newManager(c, cancel)
	m.peers, c.manager = peers, m
	// Answers come to a manager that is whole, and that the coordinator knows.
	c.prober.listen(c.answered)
	m.peers.listen(m.peerAnswered)
	changes := o.Shared.Changes(running)
	m.running.Go(func() {
		m.shared.Announce(running, config.Presence{Name: o.Name, Address: o.Listen.String(), PID: pid()}, max(time.Second, o.ControlTimeout/3))
	})
	m.running.Go(func() { m.watchChanges(running, changes) })
	m.running.Go(func() { m.probe(running) })
	m.running.Go(func() { m.settle(running) })
	m.running.Go(func() { m.run(running) })
	return nil
}

// newManager returns a manager that does nothing yet.
func newManager(c *Coordinator, cancel context.CancelFunc) *manager {
	o := c.options
	m := &manager{Coordinator: c, shared: o.Shared, steps: membership.NewManager(), began: o.now(), awake: o.now(), cancel: cancel,
		ready: make(chan struct{}), wake: make(chan struct{}, 1), followers: map[netip.AddrPort]*follower{}}
	m.asker = &asker{shard: o.Shard, rate: o.CatchUpRate, sources: map[protocol.ReplicaID]config.Member{}, clientAt: m.clientAt}
	m.swaps = &swaps{Store: o.Shared}
	m.executor = &membership.Executor{Plane: c.plane, Replicas: m.asker, Store: m.swaps, Now: o.leaseNow, Together: o.together}
	m.peer.since = m.began
	m.stale.Store(true)
	return m
}

func (m *manager) close() {
	m.cancel()
	m.running.Wait()
	_ = m.peers.close()
	for _, f := range m.followers {
		f.close()
	}
}

// awaitReady returns when somebody serves: this coordinator, or another one.
func (m *manager) awaitReady(ctx context.Context) error {
	select {
	case <-m.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(readyTimeout):
		m.mu.Lock()
		defer m.mu.Unlock()
		return fmt.Errorf("nobody serves the shard %s after %v: %s", m.options.Shard, readyTimeout, m.excuse())
	}
}

// excuse says what is missing. The lock is held.
func (m *manager) excuse() string {
	switch {
	case m.trouble != "":
		return m.trouble
	case !m.loaded:
		return "etcd has no configuration of it; name its replicas to the coordinator that is to found it"
	}
	silent := ""
	for _, member := range m.known.Members {
		if f := m.followers[member.Address]; f == nil || !f.look(m.options.now(), m.options.SuspectAfter).known {
			silent += fmt.Sprintf("; replica %d at %v does not answer", member.ID, member.Address)
		}
	}
	return fmt.Sprintf("epoch %d is %s's%s", m.known.Epoch, m.known.Coordinator, silent)
}

func (m *manager) clientAt(a netip.AddrPort) *control.Client { return m.follow(a).client }

// follow returns the follower of the replica at an address.
func (m *manager) follow(a netip.AddrPort) *follower {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.followers[a]
	if f == nil {
		f = m.options.newFollower(a, m.changed)
		m.followers[a] = f
	}
	return f
}

// changed says that there may be something to do, and that it can't wait.
func (m *manager) changed(urgent bool) {
	if urgent {
		m.mu.Lock()
		if m.hurry != nil {
			m.hurry()
		}
		m.mu.Unlock()
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
	if d := m.options.driver; d != nil {
		d.Wake()
	}
}

func (m *manager) watchChanges(ctx context.Context, changes <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-changes:
		case <-ticker.C: // A watch can be slow to notice that it has ended.
		case <-ctx.Done():
			return
		}
		m.sharedChanged(ctx)
	}
}

// sharedChanged has the configuration read before the next step, and looks who is there.
func (m *manager) sharedChanged(ctx context.Context) {
	m.stale.Store(true)
	m.changed(false)
	if present, err := m.shared.Present(ctx); err == nil {
		m.sawPresent(present, m.options.now())
	}
}

// run names and takes steps until the context ends.
func (m *manager) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		if pause := m.step(ctx, &failures); pause > 0 {
			m.wait(ctx, pause)
		}
	}
}

// step names a step and takes it. It returns how long to wait before the next one
// unless something changes, and counts the failures since the last success.
func (m *manager) step(ctx context.Context, failures *int) (pause time.Duration) {
	failed := func(err error) time.Duration {
		m.fail(err)
		*failures++
		return backoff(*failures - 1)
	}
	if m.stale.Swap(false) {
		if err := m.load(ctx); err != nil {
			m.stale.Store(true)
			return failed(err)
		}
	}
	v := m.view()
	a := m.steps.Next(&v)
	m.noteSteps()
	if a.Kind == membership.Wait {
		m.fail(nil)
		return m.until(&a, &v)
	}
	if err := m.take(ctx, &a, &v); err != nil {
		return failed(fmt.Errorf("step %q failed: %w", a.Kind, err))
	}
	*failures = 0
	return 0
}

// noteSteps takes note of what is under way. That changes not only with the steps
// taken here: another coordinator may have taken a later epoch.
func (m *manager) noteSteps() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.joining, m.taking = m.steps.Joining(), m.steps.Taking()
}

func backoff(failures int) time.Duration { return min(retryMin<<min(failures, 10), retryMax) }

// until returns how long to wait. What only time changes, such as a silence, shows
// with every probe.
func (m *manager) until(a *membership.Action, v *membership.View) time.Duration {
	if a.Until > v.Now {
		return min(a.Until-v.Now, probeInterval)
	}
	return probeInterval
}

func (m *manager) wait(ctx context.Context, d time.Duration) {
	select {
	case <-m.wake:
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// fail takes note of what goes wrong, and says it once.
func (m *manager) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.trouble
	m.trouble = ""
	if err != nil {
		m.trouble = err.Error()
	}
	if m.trouble != was && err != nil && !errors.Is(err, context.Canceled) {
		m.options.Logger.Warn("the members can't be seen to", "error", err)
	}
}

// load reads the configuration, or makes it.
func (m *manager) load(ctx context.Context) error {
	c, revision, err := m.shared.Load(ctx)
	if errors.Is(err, config.ErrNone) {
		return m.create(ctx)
	}
	if err != nil {
		return err
	}
	if c.Sessions != m.options.Sessions {
		return fmt.Errorf("%w: a session table of %d, but the shard's have %d: give --sessions %d", ErrConfiguration, m.options.Sessions, c.Sessions, c.Sessions)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Epoch != m.known.Epoch || !m.loaded {
		m.peer = peer{since: m.options.now()}
	}
	m.known, m.revision, m.loaded = c, revision, true
	return nil
}

// create makes the configuration of a shard that has none.
func (m *manager) create(ctx context.Context) error {
	o := m.options
	if o.Standby || len(o.Found) == 0 {
		return config.ErrNone
	}
	c := config.Config{Generation: 1, MinMembers: o.MinMembers, Sessions: o.Sessions}
	for i, a := range o.Found {
		c.Members = append(c.Members, config.Member{ID: protocol.ReplicaID(protocol.MaxMembers + i), Address: a, InSync: true})
		c.Replicas = append(c.Replicas, config.Replica{Address: a})
	}
	if _, err := m.shared.Swap(ctx, 0, c); err != nil && !errors.Is(err, config.ErrChanged) {
		return err
	}
	m.stale.Store(true)
	return nil
}

// take takes a step.
func (m *manager) take(ctx context.Context, a *membership.Action, v *membership.View) error {
	m.mu.Lock()
	revision := m.revision
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if canWait(a.Kind) {
		m.hurry = cancel
	}
	m.mu.Unlock()
	if a.Kind == membership.Mint {
		busy, err := m.plane.busy()
		if err != nil {
			return err
		}
		if v.Kernel.Busy != busy {
			v.Kernel.Busy = busy
			if *a = m.steps.Next(v); a.Kind != membership.Mint {
				return nil
			}
		}
	}
	if a.Kind == membership.TakeEpoch {
		a.Config.Address = m.options.Listen
		a.Config.History[len(a.Config.History)-1].At = m.options.now().UnixMilli()
	}
	if a.Kind == membership.EnterSync {
		if err := afterCaughtUp.Hit(); err != nil {
			return err
		}
	}
	if a.Kind == membership.Assign && v.Config.Epoch != 0 {
		if err := m.learnMark(ctx, &v.Config); err != nil {
			m.steps.Failed(a)
			return err
		}
	}
	began := m.options.leaseNow()
	fenced, err := m.do(ctx, a, revision, v.Config.Sessions)
	m.tellStep(a, revision, began, fenced, err)
	if err == nil {
		err = points[a.Kind].Hit()
	}
	m.mu.Lock()
	m.hurry = nil
	m.mu.Unlock()
	if err != nil {
		m.steps.Failed(a)
		m.stale.Store(m.stale.Load() || a.ChangesConfig())
		m.punish(a)
		return err
	}
	m.steps.Succeeded(a, m.now(), fenced...)
	m.took(a)
	return nil
}
