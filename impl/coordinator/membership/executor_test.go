// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

var errSilent = errors.New("no answer")

// stub stands for the data plane and the replicas of an executor.
type stub struct {
	Plane
	Replicas
	now time.Duration
	// silent has the member that does not answer.
	silent   protocol.ReplicaID
	recent   map[protocol.ReplicaID]Recent
	given    map[protocol.ReplicaID]Recent
	sessions []protocol.SessionRecord
	asked    time.Duration
	opened   bool
	// did has what else was asked for.
	did []string
}

// ask takes a second for each question.
func (s *stub) ask(m config.Member) error {
	s.now += time.Second
	if m.ID == s.silent {
		return errSilent
	}
	return nil
}

func (s *stub) Fence(_ context.Context, m config.Member, _ protocol.Epoch) error { return s.ask(m) }

func (s *stub) Recent(_ context.Context, m config.Member, _ *protocol.Version) (Recent, error) {
	return s.recent[m.ID], s.ask(m)
}

func (s *stub) Install(_ context.Context, m config.Member, _ protocol.Epoch, r Recent) error {
	s.given[m.ID] = r
	return s.ask(m)
}

// stubPlane is the data plane's part, whose Open is another than the replicas'.
type stubPlane struct{ *stub }

func (s *stub) Open(_ context.Context, m config.Member, _ protocol.Epoch) error { return s.ask(m) }

func (s *stub) do(format string, arguments ...any) error {
	s.did = append(s.did, fmt.Sprintf(format, arguments...))
	return nil
}

func (s *stub) Assign(_ context.Context, m config.Member, e protocol.Epoch, sessions uint32) error {
	return s.do("assign %d in %d, %d sessions", m.ID, e, sessions)
}

func (s *stub) CatchUp(_ context.Context, m config.Member, e protocol.Epoch, source config.Member) error {
	return s.do("catch %d up in %d from %d", m.ID, e, source.ID)
}

func (s *stub) Expel(_ context.Context, m config.Member) error { return s.do("expel %d", m.ID) }

func (p stubPlane) SetServing(set uint16) error { return p.do("serve by %b", set) }
func (p stubPlane) SetMembers(_ context.Context, all []config.Member) error {
	return p.do("mask of %d", len(all))
}
func (p stubPlane) SetMinMembers(n int) error { return p.do("at least %d", n) }
func (p stubPlane) Shut() error               { return p.do("shut") }
func (p stubPlane) Open(_ context.Context, _ protocol.Epoch, _ []config.Member, sessions []protocol.SessionRecord, _ int, asked time.Duration) error {
	p.sessions, p.asked, p.opened = sessions, asked, true
	return nil
}

// stubStore is a store whose configuration is at a revision.
type stubStore struct {
	config.Store
	revision config.Revision
}

func (s *stubStore) Load(context.Context) (config.Config, config.Revision, error) {
	return config.Config{}, s.revision, nil
}

func (s *stubStore) Swap(_ context.Context, base config.Revision, _ config.Config) (config.Revision, error) {
	if base != s.revision {
		return 0, config.ErrChanged
	}
	return s.revision + 1, nil
}

// TestExecutor takes the steps of a recovery with a member that does not answer in
// the middle of one.
func TestExecutor(t *testing.T) {
	members := []config.Member{{ID: 16, Address: addressOf(0), InSync: true}, {ID: 17, Address: addressOf(1), InSync: true}}
	session := protocol.MintSessionID(1, 1, 3)
	record := func(seq, request uint64) Recent {
		m := protocol.Message{Type: protocol.Write, Version: protocol.Version{Epoch: 1, Seq: seq}, Key: []byte("k")}
		return Recent{Records: []protocol.Message{m}, Sessions: []protocol.SessionRecord{{Session: session, Request: request, Version: m.Version}}}
	}
	recovery := []Kind{Fence, Collect, Install, OpenMembers, OpenKernel}
	// take does the steps up to the last one given, which may fail.
	take := func(s *stub, last Kind) (fenced []protocol.ReplicaID, err error) {
		s.recent = map[protocol.ReplicaID]Recent{16: record(7, 2), 17: record(9, 3)}
		s.given = map[protocol.ReplicaID]Recent{}
		x := &Executor{Plane: stubPlane{s}, Replicas: s, Together: InTurn, Now: func() time.Duration { return s.now }}
		silent := s.silent
		for _, kind := range recovery {
			s.silent = 0
			if kind == last {
				s.silent = silent
			}
			fenced, err = x.Do(context.Background(), &Action{Kind: kind, Epoch: 2, Members: members}, 0, 64)
			if kind == last || err != nil {
				return fenced, err
			}
		}
		return nil, nil
	}
	for _, c := range []struct {
		name string
		last Kind
	}{{"a member that can't be read", Collect}, {"a member that can't be given what it lacks", Install}, {"a member that can't be opened", OpenMembers}} {
		t.Run(c.name, func(t *testing.T) {
			for _, silent := range members {
				if _, err := take(&stub{silent: silent.ID}, c.last); !errors.Is(err, errSilent) {
					t.Errorf("%s with %d silent: %v", c.last, silent.ID, err)
				}
			}
		})
	}
	t.Run("a member that can't be fenced", func(t *testing.T) {
		fenced, err := take(&stub{silent: 17}, Fence)
		if err != nil || !slices.Equal(fenced, []protocol.ReplicaID{16}) {
			t.Errorf("fenced %v, %v", fenced, err)
		}
	})
	t.Run("the lease of an epoch", func(t *testing.T) {
		s := &stub{}
		if _, err := take(s, OpenKernel); err != nil {
			t.Fatal(err)
		}
		// Of the time that passed, the last two seconds are those of the opening.
		if s.asked > s.now-2*time.Second {
			t.Errorf("opened at %v, and the members were asked at %v", s.now, s.asked)
		}
	})
	t.Run("a change of the configuration", func(t *testing.T) {
		store := &stubStore{revision: 8}
		x := &Executor{Store: store}
		for _, base := range []config.Revision{7, 8} {
			if _, err := x.Do(context.Background(), &Action{Kind: EnterSync}, base, 64); (err == nil) != (base == 8) {
				t.Errorf("based on revision %d, where %d is the last: %v", base, store.revision, err)
			}
		}
	})
	t.Run("what is recovered", func(t *testing.T) {
		s := &stub{}
		if _, err := take(s, OpenKernel); err != nil {
			t.Fatal(err)
		}
		if len(s.sessions) != 1 || s.sessions[0].Request != 3 {
			t.Errorf("opened with the session records %+v", s.sessions)
		}
		older, newer := s.given[16], s.given[17]
		if len(older.Records) != 1 || older.Records[0].Version.Seq != 9 || len(older.Sessions) != 1 || older.Sessions[0].Request != 3 {
			t.Errorf("who had version 7 was given %+v", older)
		}
		if len(newer.Records)+len(newer.Sessions) != 0 {
			t.Errorf("who had version 9 was given %+v", newer)
		}
	})
	t.Run("each step asks for what it names", func(t *testing.T) {
		for kind, want := range map[Kind]string{ShrinkServing: "serve by 10", GrowServe: "serve by 10", ShrinkMask: "mask of 2", GrowMask: "mask of 2", LeastSize: "at least 3",
			CloseKernel: "shut", Assign: "assign 16 in 2, 64 sessions", CatchUpOn: "catch 16 up in 2 from 17", Expel: "expel 16"} {
			s := &stub{}
			x := &Executor{Plane: stubPlane{s}, Replicas: s}
			a := &Action{Kind: kind, Epoch: 2, Members: members, Source: members[1], Serving: 0b10, MinMembers: 3}
			if _, err := x.Do(context.Background(), a, 0, 64); err != nil || !slices.Equal(s.did, []string{want}) {
				t.Errorf("%s asked for %q (%v), want %q", kind, s.did, err, want)
			}
		}
		if _, err := (&Executor{}).Do(context.Background(), &Action{Kind: "dance"}, 0, 64); err == nil {
			t.Error("a step that there is not was taken")
		}
	})
	// So that what is done with them is the same each time.
	t.Run("the order of the session records", func(t *testing.T) {
		s := &stub{recent: map[protocol.ReplicaID]Recent{}}
		x := &Executor{Plane: stubPlane{s}, Replicas: s, Together: InTurn, Now: func() time.Duration { return s.now }}
		var want []int
		for slot := range 16 {
			r := s.recent[members[slot%2].ID]
			r.Sessions = append(r.Sessions, protocol.SessionRecord{Session: protocol.MintSessionID(protocol.Epoch(20-slot), 1, slot), Request: 1})
			s.recent[members[slot%2].ID] = r
			want = append(want, slot)
		}
		for _, kind := range []Kind{Collect, OpenKernel} {
			if _, err := x.Do(context.Background(), &Action{Kind: kind, Epoch: 21, Members: members}, 0, 64); err != nil {
				t.Fatal(err)
			}
		}
		var got []int
		for _, r := range s.sessions {
			got = append(got, r.Session.Slot())
		}
		if !slices.Equal(got, want) {
			t.Errorf("opened with those of the slots %v, want %v", got, want)
		}
	})
}
