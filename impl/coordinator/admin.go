// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"

	"dalio/impl/config"
	"dalio/impl/internal/failpoint"
	"dalio/protocol"
)

// The paths of the admin API, beside /status.
const (
	MembersPath    = "/members"
	FailoverPath   = "/failover"
	FailpointsPath = "/failpoints"
)

// changeTries bounds how often a change of the configuration is tried again that
// others came before.
const changeTries = 10

// ErrRefused is wrapped by what the operator asks for and can't have as things are.
var ErrRefused = errors.New("refused")

// MemberChange is what an operator wants of the replicas.
type MemberChange struct {
	// Do is "add", "remove", "drain", "replace", or "least" for MinMembers.
	Do string `json:"do"`
	// Replica is the address, or the id of a member.
	Replica string `json:"replica"`
	// By is the address of the one that replaces it.
	By string `json:"by,omitempty"`
	// MinMembers is how many members new writes are to need, for "least".
	MinMembers int `json:"min_members,omitempty"`
}

// apply returns the configuration with the change.
func (ch MemberChange) apply(c config.Config) (config.Config, error) {
	if ch.Do == "least" {
		return ch.least(c)
	}
	address, err := resolveReplica(c, ch.Replica)
	if err != nil {
		return c, err
	}
	home, ours := c.ReplicaAt(address)
	switch ch.Do {
	case "add":
		if ours && !home.Drained {
			return c, fmt.Errorf("%w: %v belongs to the shard already", ErrRefused, address)
		}
		if !ours && len(c.Replicas) == protocol.MaxMembers {
			return c, fmt.Errorf("%w: the shard has %d replicas, and can't have more; remove one first", ErrRefused, len(c.Replicas))
		}
		return c.WithReplica(config.Replica{Address: address}), nil
	case "remove", "drain", "replace":
	default:
		return c, fmt.Errorf("%w: %q: want add, remove, drain, replace or least", ErrConfiguration, ch.Do)
	}
	if !ours {
		return c, fmt.Errorf("%w: %v does not belong to the shard", ErrRefused, address)
	}
	if ch.Do == "replace" {
		return ch.replace(c, address)
	}
	left, counts := 0, false
	for _, m := range c.Members {
		r, _ := c.ReplicaAt(m.Address)
		switch {
		case !m.InSync || !r.Address.IsValid() || r.Drained:
		case m.Address == address:
			counts = true
		default:
			left++
		}
	}
	switch {
	case left == 0:
		return c, fmt.Errorf("%w: without %v no replica would be in sync; add another one and wait until it is", ErrRefused, address)
	case counts && left < c.MinMembers:
		return c, fmt.Errorf("%w: without %v the shard would have %d members in sync, and takes no writes with fewer than %d; add another one first, or have it need fewer (dalio member least %d)",
			ErrRefused, address, left, c.MinMembers, left)
	case ch.Do == "drain":
		return c.WithReplica(config.Replica{Address: address, Drained: true}), nil
	}
	return c.WithoutReplica(address), nil
}

// least changes how many members new writes need.
func (ch MemberChange) least(c config.Config) (config.Config, error) {
	switch {
	case ch.MinMembers < 1 || ch.MinMembers > protocol.MaxMembers:
		return c, fmt.Errorf("%w: at least %d members: want 1 to %d", ErrConfiguration, ch.MinMembers, protocol.MaxMembers)
	case ch.MinMembers > max(c.MinMembers, c.InSync()):
		return c, fmt.Errorf("%w: %d members are in sync, so the shard would take no writes; add replicas first", ErrRefused, c.InSync())
	}
	c = c.Clone()
	c.MinMembers = ch.MinMembers
	return c, nil
}

func (ch MemberChange) replace(c config.Config, old netip.AddrPort) (config.Config, error) {
	by, err := netip.ParseAddrPort(ch.By)
	if err != nil || !usable(by) {
		return c, fmt.Errorf("%w: replace by %q: want IP:PORT", ErrConfiguration, ch.By)
	}
	if _, ok := c.ReplicaAt(by); ok {
		return c, fmt.Errorf("%w: %v belongs to the shard already", ErrRefused, by)
	}
	if len(c.Replicas) == protocol.MaxMembers {
		return c, fmt.Errorf("%w: the shard has %d replicas, and both must be there for a while; remove one first", ErrRefused, len(c.Replicas))
	}
	return c.WithReplica(config.Replica{Address: by, Replaces: old}), nil
}

// resolveReplica returns the address that is meant by an address or a member's id.
func resolveReplica(c config.Config, s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil && usable(a) {
		return a, nil
	}
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: replica %q: want IP:PORT, or the id of a member", ErrConfiguration, s)
	}
	if m, ok := c.Member(protocol.ReplicaID(id)); ok {
		return m.Address, nil
	}
	return netip.AddrPort{}, fmt.Errorf("%w: there is no member %d", ErrRefused, id)
}

// changeMembers changes the configuration for an operator.
func (m *manager) changeMembers(ctx context.Context, ch MemberChange) error {
	for range changeTries {
		c, revision, err := m.shared.Load(ctx)
		if err != nil {
			return err
		}
		next, err := ch.apply(c)
		if err != nil {
			return err
		}
		if _, err = m.shared.Swap(ctx, revision, next); !errors.Is(err, config.ErrChanged) {
			m.stale.Store(true)
			m.changed(false)
			return err
		}
	}
	return fmt.Errorf("the configuration changed %d times meanwhile; try again", changeTries)
}

// failover has this coordinator take over, which must be one that stands by.
func (m *manager) failover() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known.Coordinator == m.options.Name {
		others := ""
		for _, p := range m.present {
			if p.Name != m.options.Name {
				others += " " + p.Name
			}
		}
		if others == "" {
			return fmt.Errorf("%w: %s is the active one, and no other coordinator is there", ErrRefused, m.options.Name)
		}
		return fmt.Errorf("%w: %s is the active one; ask one that stands by:%s", ErrRefused, m.options.Name, others)
	}
	m.wanted = "an operator asked for it"
	m.beside(func() { m.changed(false) })
	return nil
}

// handler serves the admin API.
func (c *Coordinator) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s, err := c.Status()
		if err != nil {
			answerError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s) // Who asked has gone away: nobody to tell.
	})
	mux.HandleFunc("POST "+MembersPath, func(w http.ResponseWriter, r *http.Request) {
		var change MemberChange
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&change); err != nil {
			answerError(w, fmt.Errorf("%w: %w", ErrConfiguration, err))
			return
		}
		answerError(w, c.managed(func(m *manager) error { return m.changeMembers(r.Context(), change) }))
	})
	mux.HandleFunc("POST "+FailoverPath, func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, c.managed((*manager).failover))
	})
	mux.Handle(FailpointsPath, failpoint.Handler())
	return mux
}

// managed does something if the members can change.
func (c *Coordinator) managed(do func(*manager) error) error {
	if c.manager == nil {
		return fmt.Errorf("%w: this coordinator's members are fixed; start it with --etcd or --etcd-dir", ErrRefused)
	}
	return do(c.manager)
}

// answerError answers with an error, or with nothing if there is none.
func answerError(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrConfiguration):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, ErrRefused):
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
