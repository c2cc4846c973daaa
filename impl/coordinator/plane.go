// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"dalio/bpf"
	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/protocol"
)

// locateTimeout bounds the search for a new member's hardware address: it has
// just spoken by TCP, so its machine is known.
const locateTimeout = time.Second

// plane is the data plane as the steps of the membership see it: by ids and
// addresses, with what was told it last at hand.
type plane struct {
	data    dataPlane
	network *network
	nudge   func(Replica)
	// enter runs a function in the network namespace of the devices: the kernel
	// looks for them in that of the thread.
	enter func(func() error) error
	// resolve finds members out in place of the network, if not nil.
	resolve func([]Replica) []located

	// changing is held while the members change.
	changing sync.Mutex

	mu      sync.Mutex
	kernel  membership.Kernel
	members []located
}

// view returns what the data plane was told last, but for Busy.
func (p *plane) view() membership.Kernel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kernel
}

// located returns where the members are.
func (p *plane) located() []located {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members
}

// busy returns the indices that some pending write counts as having acknowledged it.
func (p *plane) busy() (set uint16, err error) {
	state, err := p.data.State()
	if err != nil {
		return 0, err
	}
	for i := range state.Sessions {
		if e := &state.Sessions[i]; e.Pending() {
			set |= e.Acks
		}
	}
	return set, nil
}

func (p *plane) SetServing(set uint16) error {
	if err := p.data.SetServing(set); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kernel.Serving = set
	return nil
}

func (p *plane) SetMinMembers(n int) error {
	if err := p.data.SetMinMembers(n); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kernel.MinMembers = n
	return nil
}

func (p *plane) SetMembers(ctx context.Context, members []config.Member) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	found, err := p.locate(ctx, members)
	if err != nil {
		return err
	}
	if err := p.place(found); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.know(found)
	return nil
}

func (p *plane) Shut() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	if err := p.data.Shut(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kernel, p.members = membership.Kernel{}, nil
	return nil
}

func (p *plane) Open(ctx context.Context, e protocol.Epoch, members []config.Member, sessions []protocol.SessionRecord, minMembers int, asked time.Duration) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	found, err := p.locate(ctx, members)
	if err != nil {
		return err
	}
	err = p.enter(func() error {
		if err := p.data.SetPaths(pathsOf(found)); err != nil {
			return err
		}
		return p.data.Open(bpf.Epoch{Number: e, Members: plain(found), MinMembers: minMembers, Recovered: sessions, Answered: asked})
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.know(found)
	p.kernel.Epoch, p.kernel.Serving, p.kernel.MinMembers = e, p.kernel.Members, minMembers
	return nil
}

// place tells the data plane who the members are, and where.
func (p *plane) place(members []located) error {
	return p.enter(func() error {
		if err := p.data.SetPaths(pathsOf(members)); err != nil {
			return err
		}
		return p.data.SetMembers(plain(members)...)
	})
}

// know takes note of the members. The lock is held.
func (p *plane) know(members []located) {
	p.members = members
	p.kernel.IDs, p.kernel.Members = [protocol.MaxMembers]protocol.ReplicaID{}, 0
	for _, m := range members {
		p.kernel.IDs[m.ID.Index()] = m.ID
		p.kernel.Members |= 1 << m.ID.Index()
	}
}

// locate finds out where the members are that are not known yet.
func (p *plane) locate(ctx context.Context, members []config.Member) ([]located, error) {
	var found []located
	var missing []Replica
	known := p.located()
	for _, m := range members {
		if i := slices.IndexFunc(known, func(l located) bool { return l.ID == m.ID }); i >= 0 {
			found = append(found, known[i])
		} else {
			missing = append(missing, Replica{m.ID, m.Address})
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	if p.resolve != nil {
		return append(found, p.resolve(missing)...), nil
	}
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	more, err := p.network.resolve(ctx, missing, p.nudge)
	if err != nil {
		return nil, err
	}
	return append(found, more...), nil
}

// follow has a function change where members are, and tells the data plane if it
// did. Nothing else changes the members meanwhile.
func (p *plane) follow(change func([]located) bool) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	members := slices.Clone(p.located())
	if !change(members) {
		return nil
	}
	if err := p.place(members); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members = members
	return nil
}

func plain(members []located) (all []protocol.Member) {
	for _, m := range members {
		all = append(all, m.Member)
	}
	return all
}

func pathsOf(members []located) (paths [protocol.MaxMembers]int) {
	for _, m := range members {
		paths[m.ID.Index()] = m.device
	}
	return paths
}

// adopt takes over what the data plane's predecessor left in it.
func (p *plane) adopt() error {
	state, err := p.data.State()
	if err != nil {
		return fmt.Errorf("read what is pinned: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kernel = membership.Kernel{Epoch: state.Epoch, Members: state.Members, Serving: state.Serving, MinMembers: state.MinMembers}
	p.members = nil
	for i, m := range state.Known {
		if state.Members>>i&1 != 0 {
			p.kernel.IDs[i] = m.ID
			p.members = append(p.members, located{m, p.deviceTo(netip.AddrFrom4(m.Address.IP))})
		}
	}
	return afterAdopted.Hit()
}

// deviceTo returns the device by which a member is reached.
func (p *plane) deviceTo(a netip.Addr) int {
	if p.network == nil {
		return 0
	}
	if hop, err := p.network.nextHop(a); err == nil {
		return hop.device
	}
	return p.network.devices[0].index
}
