// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// shard is a lab on a network that loses, duplicates and reorders: every message
// ever sent stays deliverable. The actions of the state machine below have the
// names of the spec's.
type shard struct {
	*lab
	sessions []SessionID
	next     []uint64
	// inFlight holds messages to the coordinator and to the replicas.
	toCoordinator []envelope
	toReplica     []envelope
	versions      map[string]Version
	keys          map[Version][]byte
	writes        int
	answered      int
}

type envelope struct {
	m Message
	// peer is the address a message to the coordinator comes from, or the
	// replica a message goes to.
	peer    Address
	replica int
}

func (s *shard) take(out Output) {
	m := out.Message
	switch {
	case m == nil:
	case out.Targets != 0:
		s.sequenced(*m)
		for i := range s.replicas {
			if out.Targets>>i&1 != 0 {
				s.toReplica = append(s.toReplica, envelope{m: *m, replica: i})
			}
		}
	case m.Type == Read:
		s.toReplica = append(s.toReplica, envelope{m: *m, replica: m.Replica.Index()})
	}
}

// sequenced checks that a request has one version for ever.
func (s *shard) sequenced(m Message) {
	id := fmt.Sprint(m.Session, m.Request)
	if v, ok := s.versions[id]; ok && v != m.Version {
		panic(fmt.Sprintf("request %s has versions %v and %v", id, v, m.Version))
	}
	s.versions[id] = m.Version
	s.keys[m.Version] = m.Key
}

// everywhere says whether every member holds at least version v of key.
func (s *shard) everywhere(key []byte, v Version) bool {
	for _, r := range s.replicas {
		if r.Store.Get(key).Version.Less(v) {
			return false
		}
	}
	return true
}

func (s *shard) handle(t *rapid.T, e envelope) {
	var out Output
	switch e.m.Type {
	case WriteRequest:
		out = s.HandleWriteRequest(e.m, e.peer)
	case ReadRequest:
		out = s.HandleReadRequest(e.m, e.peer)
	case WriteAck:
		out = s.HandleWriteAck(e.m, e.peer)
		if out.Message != nil {
			s.answered++
			if v := out.Message.Version; !s.everywhere(s.keys[v], v) {
				t.Fatalf("version %v of %q was answered, and some member does not hold it", v, s.keys[v])
			}
		}
	case ReadReply:
		out = s.HandleReadReply(e.m, e.peer)
		if out.Message != nil && out.Message.Type == ReadResponse && !s.everywhere(out.Message.Key, out.Message.Version) {
			t.Fatalf("version %v of %q was released, and some member does not hold it", out.Message.Version, out.Message.Key)
		}
	}
	s.take(out)
}

// TestReleasedVersionsAreHeldByAllMembers walks at random and checks what
// linearizability rests on: a version is answered or released only when every
// member holds it or a newer one, and a request has only one version.
func TestReleasedVersionsAreHeldByAllMembers(t *testing.T) {
	answered := 0
	rapid.Check(t, func(t *rapid.T) {
		s := &shard{lab: newLab(rapid.IntRange(1, 4).Draw(t, "replicas"), 2), versions: map[string]Version{},
			keys: map[Version][]byte{}}
		for slot := range s.Sessions {
			out := s.HandleOpenRequest(Message{Type: OpenRequest, Request: uint64(2 + slot)}, clientAddress)
			s.sessions = append(s.sessions, out.Message.Session)
			s.next = append(s.next, 1)
		}
		key := rapid.SampledFrom([]string{"a", "b"})
		t.Repeat(map[string]func(*rapid.T){
			"InvokeWrite": func(t *rapid.T) {
				i := rapid.IntRange(0, len(s.sessions)-1).Draw(t, "session")
				s.writes++
				m := put(s.sessions[i], s.next[i], key.Draw(t, "key"), fmt.Sprint(s.writes))
				s.next[i]++
				s.toCoordinator = append(s.toCoordinator, envelope{m: m, peer: clientAddress})
			},
			"InvokeRead": func(t *rapid.T) {
				m := get(s.sessions[0], 1, key.Draw(t, "key"))
				s.toCoordinator = append(s.toCoordinator, envelope{m: m, peer: clientAddress})
			},
			"DeliverToCoordinator": func(t *rapid.T) {
				if len(s.toCoordinator) == 0 {
					t.Skip("nothing in flight")
				}
				s.handle(t, rapid.SampledFrom(s.toCoordinator).Draw(t, "message"))
			},
			"DeliverToReplica": func(t *rapid.T) {
				if len(s.toReplica) == 0 {
					t.Skip("nothing in flight")
				}
				e := rapid.SampledFrom(s.toReplica).Draw(t, "message")
				e.m.Replica = s.replicas[e.replica].ID
				answer, refused := s.replicas[e.replica].Handle(e.m)
				if refused != NotRefused {
					t.Fatalf("refused: %v", refused)
				}
				s.toCoordinator = append(s.toCoordinator, envelope{m: answer, peer: s.Known[e.replica].Address})
			},
		})
		answered += s.answered
	})
	if answered == 0 {
		t.Fatal("no walk had a write answered: the check saw nothing")
	}
}
