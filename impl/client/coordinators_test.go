// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalio/impl/client"
	"dalio/impl/internal/modelnet"
	"dalio/protocol"
)

// post is a coordinator that answers at its address only while it is told to,
// and then every write and read with what it was given.
type post struct {
	at netip.AddrPort

	mu     sync.Mutex
	epoch  protocol.Epoch
	status protocol.Status
	silent bool
	asked  int
}

// set changes what the coordinator does, and returns how often it was asked.
func (p *post) set(epoch protocol.Epoch, status protocol.Status, silent bool) (asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch, p.status, p.silent = epoch, status, silent
	return p.asked
}

// man puts coordinators at their posts, and a client that knows them all.
func man(t *testing.T, posts ...*post) *client.Client {
	t.Helper()
	n := modelnet.New(1, modelnet.Faults{MinDelay: time.Millisecond, MaxDelay: time.Millisecond})
	var all []string
	for i, p := range posts {
		p.at = netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:7411", 1+i))
		all = append(all, p.at.String())
		if err := n.Handle(p.at, func(payload []byte, from netip.AddrPort) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.asked++
			var m protocol.Message
			if err := m.Unmarshal(payload); err != nil {
				t.Error(err)
			}
			if !p.silent {
				n.Send(p.answer(m), p.at, from)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := n.Listen(netip.MustParseAddrPort("10.0.0.99:0"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), strings.Join(all, ", "), client.Options{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (p *post) answer(m protocol.Message) []byte {
	m.Epoch, m.Status, m.Key, m.Value = p.epoch, p.status, nil, nil
	switch m.Type {
	case protocol.OpenRequest:
		m.Type, m.Status, m.Session = protocol.OpenResponse, protocol.StatusOK, 1
	case protocol.WriteRequest:
		m.Type = protocol.WriteResponse
	}
	return m.Append(nil)
}

const ok, expired = protocol.StatusOK, protocol.StatusExpired

func TestTheCoordinatorThatAnswersIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &post{epoch: 1, status: ok}, &post{epoch: 1, status: ok, silent: true}
		c := man(t, one, two)
		put := func() {
			t.Helper()
			begun := time.Now()
			if err := c.Put(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > 200*time.Millisecond {
				t.Errorf("a put took %v", took)
			}
		}
		put()
		put()
		if asked := two.set(2, ok, false); asked != 0 {
			t.Errorf("while one answers, the other was asked %d times", asked)
		}
		one.set(1, ok, true)
		put()
		put()
		before := one.set(1, ok, true)
		for range 10 {
			put()
		}
		if after := one.set(1, ok, true); after != before {
			t.Errorf("the one that was replaced was asked %d times more", after-before)
		}
	})
}

// TestAReplacedCoordinatorIsNotBelieved: what it refuses, its successor may do.
func TestAReplacedCoordinatorIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, successor := &post{epoch: 1, status: ok}, &post{epoch: 2, status: ok, silent: true}
		c := man(t, old, successor)
		put := func() {
			t.Helper()
			if err := c.Put(t.Context(), "k", nil); err != nil {
				t.Errorf("put: %v", err)
			}
		}
		put()
		old.set(1, ok, true)
		successor.set(2, ok, false)
		put()
		before := old.set(1, expired, false)
		successor.set(2, ok, true)
		time.AfterFunc(time.Second, func() { successor.set(2, ok, false) })
		put()
		if after := old.set(1, expired, false); after == before {
			t.Error("the old one was not asked: the test says nothing")
		}
	})
}

func TestAddressesAreChecked(t *testing.T) {
	for _, addr := range []string{"", "10.0.0.1:7411,", "10.0.0.1:7411,nowhere"} {
		if c, err := client.Dial(t.Context(), addr, client.Options{}); err == nil {
			c.Close()
			t.Errorf("dialled %q", addr)
		} else if !strings.Contains(err.Error(), "10.0.0.1:7411, or several") {
			t.Errorf("dial %q: %v", addr, err)
		}
	}
}
