// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"dalio/bpf"
	"dalio/protocol"
	"dalio/spec/tla"
)

// Run runs every pair of the models on the reference model and on the bytecode, and
// returns how many there were. It prints a line for each model to w. An error names
// the first pair that differs and in what, or what else is not as pinned: the counts,
// the matrix. If no model is chosen there is none, and no pairs. It wants root, or
// CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
func Run(ctx context.Context, w io.Writer, o Options) (Counts, error) {
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return Counts{}, err
	}
	o.Root = root
	models, err := readModels(o.Root)
	if err != nil {
		return Counts{}, err
	}
	var total Counts
	var problems []error
	known, cells := newRegister(), matrix{}
	for _, m := range models {
		if o.Only != nil && !o.Only.MatchString(m.Name) || o.Short && !m.Short {
			continue
		}
		r := &runner{options: o, model: m, known: known, cells: cells}
		started := time.Now()
		if err := r.run(ctx); err != nil {
			return total, fmt.Errorf("%s: %w", m.Name, err)
		}
		total.add(r.counts)
		fmt.Fprintf(w, "%-8s %6d states × %d packets: %8d pairs, %d of which change the state, and %d that are the same but for names; %.1f s\n",
			m.Name, r.counts.States, len(r.packets), r.counts.Pairs, r.counts.Changing, r.counts.Renamed, time.Since(started).Seconds())
		// Alone, a model has pairs that otherwise are another's too.
		if o.Only == nil && r.counts != m.Counts || r.counts.States != m.States || r.counts.Edges != m.Edges {
			problems = append(problems, fmt.Errorf("%s: there are %+v, pinned are %+v", m.Name, r.counts, m.Counts))
		}
	}
	if !o.Short && o.Only == nil {
		var wrong []string
		total.Cells, total.Excused, wrong = cells.judge()
		fmt.Fprintf(w, "matrix: %d branches, %d cells full, %d can't be\n", len(branches), total.Cells, total.Excused)
		for _, what := range wrong {
			problems = append(problems, errors.New(what))
		}
	}
	return total, errors.Join(problems...)
}

// runner runs the pairs of one model.
type runner struct {
	options Options
	model   model
	known   *register
	cells   matrix
	counts  Counts

	packets  []tla.Record
	lease    uint64
	symmetry *symmetry
	namings  [2]naming
	messages []*protocol.Message
	frames   [2][][]byte
	kernel   *kernel
	graph    *graph
}

func (r *runner) run(ctx context.Context) (err error) {
	release, err := stay()
	if err != nil {
		return err
	}
	defer release()
	defer func() {
		if r.kernel != nil {
			err = errors.Join(err, r.kernel.rig.Close())
		}
	}()
	s := &source{}
	s.each = func(state tla.Record, results tla.Tuple) error {
		if r.kernel == nil {
			r.packets = s.packets
			if err := r.prepare(state); err != nil {
				return err
			}
		}
		if r.options.alter != nil {
			r.options.alter(state, results)
		}
		return r.state(state, results)
	}
	switch o := r.options; {
	case o.again != nil:
		err = s.read(o.again(r.model.Name))
	default:
		err = s.explore(ctx, o.Root, r.model.Name, o.tee)
	}
	if err != nil {
		return err
	}
	if s.distinct != r.counts.States {
		return fmt.Errorf("TLC found %d states and printed %d", s.distinct, r.counts.States)
	}
	if r.graph == nil {
		return nil
	}
	return r.walk()
}

// walk covers the model by paths.
func (r *runner) walk() error {
	w := &walker{graph: r.graph, packets: r.packets, rig: r.kernel.rig, lease: r.lease, reached: map[int]*visit{}}
	if err := w.walk(r.namings[0]); err != nil {
		return err
	}
	r.counts.Reached, r.counts.ByPackets, r.counts.Edges = w.counts.Reached, w.counts.ByPackets, w.counts.Edges
	return nil
}

// stay keeps the goroutine on one processor: copies are told apart by processor.
func stay() (release func(), err error) {
	runtime.LockOSThread()
	var allowed, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nil, fmt.Errorf("ask for the processors: %w", err)
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if allowed.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("stay on one processor: %w", err)
	}
	return func() {
		// A thread that can't be set free ends with its goroutine.
		if unix.SchedSetaffinity(0, &allowed) == nil {
			runtime.UnlockOSThread()
		}
	}, nil
}

// prepare loads the bytecode for the model that a state is of.
func (r *runner) prepare(state tla.Record) error {
	replicas, slots := keys(state.Get("known")), keys(state.Get("entries"))
	if r.model.Lease {
		r.lease = unit
	}
	rig, err := bpf.LoadRig(bpf.Options{Self: self, MaxSessions: uint32(len(slots)), SessionTTL: ttl,
		Lease: time.Duration(r.lease), Object: r.options.object})
	if err != nil {
		return err
	}
	r.kernel = &kernel{rig: rig}
	r.symmetry = r.known.newSymmetry(r.packets, replicas, slots, r.lease)
	r.namings = namings(replicas, slots)
	if r.model.Paths {
		r.graph = &graph{symmetry: r.symmetry, byForm: map[string]int{}}
	}
	for i := range r.packets {
		r.messages = append(r.messages, r.namings[0].message(r.packets[i]))
		for j, n := range r.namings {
			r.frames[j] = append(r.frames[j], n.frame(r.packets[i]))
		}
	}
	return nil
}

func keys(function tla.Value) (names []tla.Model) {
	for _, p := range tla.Pairs(function) {
		names = append(names, p.Key.(tla.Model))
	}
	slices.Sort(names)
	return names
}

// state runs all pairs of a state that are new.
func (r *runner) state(state tla.Record, results tla.Tuple) error {
	r.counts.States++
	if r.graph != nil {
		r.graph.add(state, results)
	}
	fresh := r.known.enter(r.symmetry, state, len(r.packets))
	for j, n := range r.namings {
		c := n.coordinator(state, r.lease)
		for i := range r.packets {
			if !fresh[i] {
				continue
			}
			h, err := r.pair(n, state, c, r.packets[i], r.frames[j][i], results[i].(tla.Set))
			if err != nil {
				return fmt.Errorf("%w\nstate   %v\npacket  %v\nallowed %v\nwith replicas %v and slots %v", err, state, r.packets[i], results[i], n.index, n.slot)
			}
			if j == 0 {
				r.cells.count(c, text(r.packets[i].Get("form")) == "whole", r.messages[i], h)
			}
		}
	}
	for i := range r.packets {
		if !fresh[i] {
			r.counts.Renamed++
			continue
		}
		r.counts.Pairs++
		if slices.ContainsFunc(results[i].(tla.Set), changes) {
			r.counts.Changing++
		}
	}
	return nil
}

func changes(result tla.Value) bool {
	return len(tla.Pairs(result.(tla.Record).Get("state"))) != 0
}

// pair compares what the model, the bytecode and the specification make of a frame
// in a state.
func (r *runner) pair(n naming, state tla.Record, c *protocol.Coordinator, packet tla.Record, frame []byte, allowed tla.Set) (bpf.Handled, error) {
	want, action := onModel(c, frame)
	difference := ""
	for _, result := range allowed {
		if difference = want.differ(n.outcome(c, state, packet, result.(tla.Record))); difference == "" {
			break
		}
	}
	if difference != "" || len(allowed) == 0 {
		return bpf.Handled{}, fmt.Errorf("the model differs from the specification: %s", difference)
	}
	if err := r.kernel.put(c); err != nil {
		return bpf.Handled{}, err
	}
	got, h, err := r.kernel.handle(frame)
	if err != nil {
		return h, err
	}
	if difference := got.differ(want); difference != "" {
		return h, fmt.Errorf("the bytecode differs from the model and the specification: %s", difference)
	}
	if h.Action != action {
		return h, fmt.Errorf("the bytecode counts action %q, the model %q", h.Action, action)
	}
	return h, nil
}
